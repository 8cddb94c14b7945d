#include "app/witnesses.h"

#include <map>

#include "net/fetch.h"
#include "obs/metrics.h"

namespace sallyport::app {
namespace {

void DeclareMetrics(const witness::Cosigning& cosigning) {
  obs::Registry& m = obs::Metrics();
  m.Observe("sallyport_witness_size", "Entries in the newest head that a quorum has cosigned",
            [&cosigning] { return double(cosigning.status().size); });
  m.Observe("sallyport_witness_age_seconds", "Since a quorum has cosigned, or since the start",
            [&cosigning] { return cosigning.status().age_seconds; });
  m.Observe("sallyport_witness_diverged",
            "1 when a witness has shown another log under this log's key",
            [&cosigning] { return cosigning.status().diverged ? 1.0 : 0.0; });
  m.ObserveBy("sallyport_witness_peer_age_seconds", "Since this witness has cosigned", "witness",
              [&cosigning] {
                std::map<std::string, double> samples;
                for (const auto& peer : cosigning.status().peers)
                  samples[peer.name] = peer.age_seconds;
                return samples;
              });
}

}  // namespace

Result<std::unique_ptr<witness::Cosigning>> StartCosigning(const config::Root& root,
                                                           ledger::Ledger& ledger) {
  if (root.evidence.witnessing.peers.empty()) return nullptr;
  SALLYPORT_TRY(
      auto cosigning,
      witness::Cosigning::Start(
          {.data_dir = root.server.data_dir,
           .log_key = ledger.vkey(),
           .config = root.evidence.witnessing,
           .fetch = [](const FetchRequest& request) { return net::FetchUrl(request); },
           .cosigned = [&ledger](const ledger::Checkpoint& head,
                                 const std::string& note) { ledger.Cosigned(head, note); }}));
  DeclareMetrics(*cosigning);
  return cosigning;
}

}  // namespace sallyport::app
