#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/document.h"
#include "oauth/redirect_uri.h"

namespace sallyport::oauth {

/// A program that asks for tokens in a person's name.
struct Client {
  enum class Kind {
    configured,  // an administrator has entered it
    registered,  // it has registered itself: nothing about it is certain (RFC 7591)
    document,    // its id is the URL of a document about it: its host is certain
  };
  Kind kind = Kind::configured;
  std::string id;     // as requests name it
  std::string label;  // for the log and lists; short, plain, different for different clients
  std::string name;   // what it calls itself, or an administrator calls it
  std::string host;   // of a document
  std::vector<RedirectUri> redirects;

  /// The registered redirect that lets answers go to `given`; null: none does.
  const RedirectUri* Find(const RedirectUri& given) const;
};

/// What a client says of itself: a registration (RFC 7591 section 2) or a client ID metadata
/// document (draft-ietf-oauth-client-id-metadata-document).
struct ClientMetadata {
  std::string client_id;  // of a document
  std::string name;       // plain text, at most 100 bytes
  std::vector<RedirectUri> redirects;
};

inline constexpr size_t kMaxMetadataBytes = 64 * 1024;
inline constexpr size_t kMaxRedirects = 16;

/// Reads it strictly: JSON without duplicate keys, 1 to 16 redirects by RedirectUri::Parse, no
/// client_secret, response_types only "code", grant_types with authorization_code. Of a
/// registration what we do not do is answered with what we do (RFC 7591 section 2.1), and every
/// redirect has to be usable; of a document token_endpoint_auth_method has to be "none", and
/// redirects that we do not use are passed over. request_malformed says what is wrong, with no
/// bytes of the text.
Result<ClientMetadata> ReadClientMetadata(std::string_view text, Client::Kind kind);

}  // namespace sallyport::oauth
