#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace sallyport::witness {

/// One of evidence.witnesses.
struct Peer {
  std::string name;         // of its key
  std::string url;          // submission prefix, without a slash at the end
  std::string key;          // its verifier key
  std::string operated_by;  // who runs it: the quorum counts operators. Empty: nobody else's
  std::string ca_file;
  std::vector<std::string> allow_addresses;
  bool allow_loopback_http = false;
  bool operator==(const Peer&) const = default;
};

/// evidence.witnesses and evidence.witnessing.
struct Config {
  std::vector<Peer> peers;
  uint64_t quorum = 0;                       // operators that have to cosign; 0: all of them
  std::chrono::milliseconds interval{1000};  // between two heads
  std::chrono::milliseconds within{60'000};  // longest time without a quorum
  bool refuse = false;  // nothing is admitted while the quorum is missing for longer; else an alarm
  bool operator==(const Config&) const = default;
};

}  // namespace sallyport::witness
