#include "config/sections.h"

namespace sallyport::config {
namespace {

void ReadToken(Context& context, const Node& node, credential::Pkcs11Config& token) {
  const std::string where = "issuer_keys.pkcs11";
  const size_t before = context.problems.size();
  Fields fields(context, node, where);
  fields.Require("module", "write module: /usr/lib/…/LIBRARY.so, as the token's maker says");
  if (auto module = fields.Path("module")) token.module = *module;
  if (auto label = fields.Text("token_label")) token.token_label = *label;
  token.slot = fields.Count("slot", 0, UINT64_MAX);
  if (token.token_label.empty() != token.slot.has_value()) {
    context.Error(fields.MarkOf(""), token.slot ? kCfgConflict : kCfgMissingKey,
                  where + " needs exactly one of token_label and slot",
                  "write token_label: the label that the token was initialised with");
  }
  fields.Require("pin", "write pin: { credential: NAME }");
  if (auto pin = fields.Secret("pin")) token.pin = *pin;
  if (auto label = fields.Text("key_label")) token.key_label = *label;
  if (token.key_label.empty() || token.key_label.size() > 64) {
    context.Error(fields.ValueMark("key_label"), kCfgBadValue, where + ".key_label is no label",
                  "write 1 to 64 characters; each gateway that shares a token has its own");
  }
  fields.Done();
  if (!context.issuer_token || context.problems.size() != before) return;
  if (const auto tried = context.issuer_token(token); !tried) {
    context.Warn(node.mark, kCfgSecretMissing,
                 where + " cannot be used here and now: " + tried.error().detail,
                 "it has to work when the gate starts");
  }
}

}  // namespace

void ReadIssuerKeys(Context& context, const Node& node, Root& root) {
  Fields fields(context, node, "issuer_keys");
  if (const Node* token =
          fields.Require("pkcs11", "write pkcs11: { module: PATH, token_label: …, pin: REF }"))
    ReadToken(context, *token, root.issuer_pkcs11.emplace());
  fields.Done();
}

}  // namespace sallyport::config
