#include <cstdlib>
#include <filesystem>

#include "app/verbs.h"

namespace sallyport::app {

std::string DataDirOrDefault(const std::string& given) {
  if (!given.empty()) return given;
  if (const char* set = std::getenv("SALLYPORT_DATA_DIR"); set != nullptr && *set != '\0')
    return set;
  return "/var/lib/sallyport";
}

}  // namespace sallyport::app
