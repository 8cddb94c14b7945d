#include "pg/startup.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <utility>

#include "mask/fold.h"
#include "pg/frame.h"

namespace sallyport::pg {
namespace {

constexpr uint32_t kCancelCode = 80877102;
constexpr uint32_t kSslCode = 80877103;
constexpr uint32_t kGssCode = 80877104;
constexpr uint32_t kMajor = 3;
constexpr uint32_t kNewestMinor = 2;
constexpr size_t kCancelKeyMin = 4, kCancelKeyMax = 256;  // MAX_CANCEL_KEY_LENGTH of PostgreSQL 18
constexpr size_t kNameMax = 63;                           // NAMEDATALEN - 1

std::unexpected<Refusal> Refuse(Errc code, const char* sqlstate, std::string message,
                                std::string detail = {}, std::string hint = {}) {
  Error error(code, message);
  return std::unexpected(
      Refusal{std::move(error), sqlstate, std::move(message), std::move(detail), std::move(hint)});
}

std::unexpected<Refusal> Malformed(std::string detail) {
  return Refuse(Errc::request_malformed, "08P01", "invalid startup packet", std::move(detail));
}

/// A name that can be shown and recorded.
bool IsCleanName(std::string_view name) {
  for (size_t i = 0; i < name.size();) {
    char32_t cp = 0;
    const int n = mask::DecodeUtf8(name, i, cp);
    if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || (n == 1 && cp == 0xfffd)) return false;
    i += size_t(n);
  }
  return true;
}

std::string Printable(std::string_view text) {
  std::string out(text.substr(0, kNameMax));
  for (char& c : out) {
    if (c < 0x20 || c >= 0x7f) c = '?';
  }
  return out;
}

/// pg_split_opts: words between white space, a backslash takes the next character as it is.
std::vector<std::string> SplitOptions(std::string_view text) {
  const auto space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  std::vector<std::string> words;
  size_t i = 0;
  for (;;) {
    while (i < text.size() && space(text[i])) ++i;
    if (i == text.size()) return words;
    std::string word;
    for (; i < text.size() && !space(text[i]); ++i) {
      if (text[i] == '\\' && ++i == text.size()) break;
      word += text[i];
    }
    words.push_back(std::move(word));
  }
}

/// "name=value" of a switch; a dash in the name stands for an underscore (ParseLongOption).
bool AddSetting(std::string_view text, Parameters& out) {
  const size_t equals = text.find('=');
  if (equals == text.npos || equals == 0) return false;
  std::string name(text.substr(0, equals));
  std::ranges::replace(name, '-', '_');
  out.emplace_back(std::move(name), text.substr(equals + 1));
  return true;
}

std::optional<Refusal> ParseOptions(std::string_view text, Parameters& out) {
  const std::vector<std::string> words = SplitOptions(text);
  for (size_t i = 0; i < words.size(); ++i) {
    std::string_view word = words[i];
    bool good = false;
    if (word == "-c" || word == "--") {
      good = word == "-c" && i + 1 < words.size() && AddSetting(words[++i], out);
    } else if (word.starts_with("-c") || word.starts_with("--")) {
      good = AddSetting(word.substr(2), out);
    }
    if (!good)
      return Refuse(Errc::request_malformed, "42601",
                    "invalid command-line argument in \"options\"",
                    "Only settings are accepted there.",
                    "Write options=-c name=value, or --name=value.")
          .error();
  }
  return std::nullopt;
}

bool SameWord(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  });
}

/// "replication" asks for a protocol that is not SQL; saying that it is not wanted is fine.
bool IsNo(std::string_view value) {
  return SameWord(value, "false") || SameWord(value, "off") || SameWord(value, "no") ||
         SameWord(value, "f") || SameWord(value, "n") || value == "0";
}

/// Takes "sallyport.auth" out of the settings; the last one counts.
std::optional<Refusal> ChooseMethod(StartupRequest& request) {
  std::optional<Refusal> refused;
  std::erase_if(request.startup.parameters, [&](const auto& parameter) {
    if (!SameWord(parameter.first, "sallyport.auth")) return false;
    if (parameter.second == "password") {
      request.method = LoginMethod::password;
    } else if (parameter.second == "oauthbearer") {
      request.method = LoginMethod::oauthbearer;
    } else {
      refused = Refuse(Errc::request_malformed, "22023", "invalid value for \"sallyport.auth\"", "",
                       "Write sallyport.auth=password or sallyport.auth=oauthbearer.")
                    .error();
    }
    return true;
  });
  return refused;
}

std::optional<Refusal> CheckNames(Startup& startup) {
  if (startup.user.empty())
    return Refuse(Errc::identity_mismatch, "28000",
                  "no PostgreSQL user name specified in startup packet", "",
                  "Give your own name as the user, or \"token\".")
        .error();
  if (startup.database.empty()) startup.database = startup.user;
  if (!IsCleanName(startup.user) || !IsCleanName(startup.database))
    return Refuse(Errc::request_malformed, "22021",
                  "the names of user and database must be UTF-8 without control characters")
        .error();
  return std::nullopt;
}

std::expected<FirstPacket, Refusal> ParseStartup(uint32_t version, BodyReader body) {
  StartupRequest request;
  Startup& startup = request.startup;
  const uint32_t minor = version & 0xffff;
  startup.minor = minor >= kNewestMinor ? kNewestMinor : 0;
  request.negotiate = minor != startup.minor;
  Parameters settings;
  std::string options;
  for (;;) {
    const std::string_view name = body.CString();
    if (body.failed()) return Malformed("A name has no end.");
    if (name.empty()) break;
    const std::string_view value = body.CString();
    if (body.failed()) return Malformed("A name has no value.");
    if (name == "user") {
      startup.user = value;
    } else if (name == "database") {
      startup.database = value;
    } else if (name == "options") {
      options = value;
    } else if (name == "replication") {
      if (!IsNo(value))
        return Refuse(Errc::method_not_allowed, "0A000",
                      "replication connections are refused by the gateway", "",
                      "Connect without \"replication\"; replicas and logical decoding do not go "
                      "through the gateway.");
    } else if (name.starts_with("_pq_.")) {
      request.unknown.emplace_back(name);
      request.negotiate = true;
    } else {
      settings.emplace_back(name, value);
    }
  }
  if (!body.done()) return Malformed("There is data behind the terminator.");
  if (auto refused = ParseOptions(options, startup.parameters))
    return std::unexpected(std::move(*refused));
  startup.parameters.insert(startup.parameters.end(), std::make_move_iterator(settings.begin()),
                            std::make_move_iterator(settings.end()));
  if (auto refused = ChooseMethod(request)) return std::unexpected(std::move(*refused));
  if (auto refused = CheckNames(startup)) return std::unexpected(std::move(*refused));
  for (const auto& [name, value] : startup.parameters) {
    if (SameWord(name, "application_name")) startup.application_name = Printable(value);
  }
  return request;
}

}  // namespace

std::expected<FirstPacket, Refusal> ParseFirstPacket(std::string_view packet) {
  BodyReader body(packet);
  const uint32_t length = body.U32();
  const uint32_t code = body.U32();
  if (body.failed() || length != packet.size())
    return Refuse(Errc::request_malformed, "08P01", "invalid length of startup packet");
  if (code == kSslCode || code == kGssCode) {
    if (!body.done()) return Malformed("A request for encryption has no content.");
    if (code == kSslCode) return SslRequest{};
    return GssRequest{};
  }
  if (code == kCancelCode) {
    CancelRequest cancel{body.U32(), std::string(body.rest())};
    if (body.failed() || cancel.key.size() < kCancelKeyMin || cancel.key.size() > kCancelKeyMax)
      return Refuse(Errc::request_malformed, "08P01", "invalid length of cancel request");
    return cancel;
  }
  if (code >> 16 != kMajor)
    return Refuse(Errc::version_unsupported, "0A000",
                  "unsupported frontend protocol " + std::to_string(code >> 16) + "." +
                      std::to_string(code & 0xffff) + ": server supports 3.0 to 3.2");
  return ParseStartup(code, body);
}

void AppendFatal(std::string& out, const Refusal& refusal) {
  MessageWriter writer(out);
  writer.Begin('E');
  const auto field = [&](char code, std::string_view text) {
    // What a field holds ends at its NUL; no text of ours has one, names of a client were checked.
    if (!text.empty()) writer.U8(uint8_t(code)).CString(text.substr(0, text.find('\0')));
  };
  field('S', "FATAL");
  field('V', "FATAL");
  field('C', refusal.sqlstate);
  field('M', refusal.message);
  field('D', refusal.detail);
  field('H', refusal.hint);
  writer.U8(0).End();
}

void AppendNegotiation(std::string& out, const StartupRequest& request) {
  MessageWriter writer(out);
  writer.Begin('v')
      .U32(kMajor << 16 | request.startup.minor)
      .U32(static_cast<uint32_t>(request.unknown.size()));
  for (const std::string& name : request.unknown) writer.CString(name);
  writer.End();
}

}  // namespace sallyport::pg
