#include "saml/source.h"

#include <filesystem>
#include <fstream>

#include "saml/verdict.h"

namespace sallyport::saml {

Result<std::string> ReadSource(const secrets::Ref& ref) {
  if (ref.kind != secrets::Ref::Kind::file) {
    SALLYPORT_TRY(const Secret text, secrets::Resolve(ref));
    return std::string(text.Reveal());
  }
  std::error_code error;
  if (!std::filesystem::is_regular_file(ref.name, error))
    return Fail(Errc::not_found, ref.name + " is not there, or no file");
  std::ifstream file(ref.name, std::ios::binary);
  std::string text(kMostMetadata + 1, '\0');
  file.read(text.data(), std::streamsize(text.size()));
  if (file.bad() || file.gcount() == 0)
    return Fail(Errc::io_failed, ref.name + " is empty, or cannot be read");
  text.resize(size_t(file.gcount()));
  if (text.size() > kMostMetadata) return Fail(Errc::config_invalid, ref.name + " is over 1 MiB");
  return text;
}

}  // namespace sallyport::saml
