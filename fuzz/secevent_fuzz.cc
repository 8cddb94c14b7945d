// A security event token and a request to revoke, well signed: their claims and the body are a
// provider's, and whoever gets a provider to sign something.
#include <string>
#include <string_view>

#include "identity/jws.h"
#include "identity/signals.h"
#include "identity/signer.h"

using namespace sallyport;
using namespace sallyport::identity;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Signer signer = *Signer::Generate(Alg::eddsa, "k");
  static const Transmitter transmitter{.provider = "corp",
                                       .subject_issuer = "https://idp",
                                       .issuer = "https://ssf",
                                       .audiences = {"https://gate"}};
  static const ProviderConfig provider = [] {
    ProviderConfig p;
    p.name = "corp";
    p.issuer = "https://idp";
    return p;
  }();
  static const Nanos now = 1'795'200'000'000'000'000;
  const std::string_view input(reinterpret_cast<const char*>(data), size);

  if (const auto token = signer.Sign(input, "secevent+jwt")) {
    if (const auto jws = ParseJws(*token)) {
      if (const auto event = CheckSecEvent(*jws, transmitter, now)) {
        if (event->token_id.empty() || event->signals.empty()) __builtin_trap();
        for (const Signal& signal : event->signals) {
          const bool ends = signal.effect == SignalEffect::end_person ||
                            signal.effect == SignalEffect::end_session;
          // What ends something names somebody.
          if (ends &&
              (!signal.subject || (signal.subject->subject.empty() &&
                                   signal.subject->email.empty() && signal.subject->sid.empty())))
            __builtin_trap();
          if (signal.type.size() > 64) __builtin_trap();
        }
      }
    }
  }
  if (const auto token = signer.Sign(input, "global-token-revocation+jwt")) {
    if (const auto jws = ParseJws(*token)) {
      const auto request = CheckRevocationToken(*jws, provider, {"https://gate"}, now);
      if (request && (request->token_id.empty() || request->expires_at <= now)) __builtin_trap();
    }
  }
  return 0;
}
