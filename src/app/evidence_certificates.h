#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "evidence_pack/setup.h"

namespace sallyport::app {

/// Appends every certificate of a PEM file; of a file that cannot be read one without fingerprint.
void ReadCertificates(const std::string& use, const std::filesystem::path& file,
                      std::vector<evidence_pack::Setup::Certificate>& out);

}  // namespace sallyport::app
