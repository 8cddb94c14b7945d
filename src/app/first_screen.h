#pragma once

#include <string>

#include "app/demo_issuer.h"
#include "base/result.h"
#include "ledger/search.h"
#include "net/http_client.h"

namespace sallyport::app {

/// What `sallyport dev` shows first: real calls through the gate that has just started, and what
/// the log says about them. Colours on a terminal, plain text otherwise.
class FirstScreen {
 public:
  struct Place {
    std::string mcp_url;  // of the connection payments
    std::string data_dir, vkey, config, ops;
    std::string psql;            // its path; empty: there is no demo database
    uint16_t postgres_port = 0;  // of the gate
  };
  /// `executor` is a shard that runs while Show() waits.
  FirstScreen(const DemoIssuer& issuer, Place place, boost::asio::any_io_executor executor);
  /// Makes the calls and prints to standard output. An error if something did not come out as it
  /// must.
  Result<> Show();

 private:
  struct Reply {
    int status = 0;
    std::string body;
    double milliseconds = 0;
  };
  Result<Reply> Call(const std::string& token, const std::string& tool,
                     const std::string& arguments);
  Result<> MaskedCard(const std::string& token);
  Result<> DeniedExport(const std::string& token);
  Result<> HeldRefund(const std::string& token);
  Result<> StolenToken();
  Result<> Statements();
  Result<> Replay(const std::string& who, const ledger::SearchCriteria& criteria);
  Result<> ReplayAndVerify();
  void Connect(const std::string& token) const;
  void ConnectDatabase() const;
  std::string Paint(const char* colour, const std::string& text) const;

  const DemoIssuer& issuer_;
  Place place_;
  boost::asio::any_io_executor executor_;
  bool terminal_;
  int id_ = 0;
};

}  // namespace sallyport::app
