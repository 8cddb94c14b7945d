#include "pg/credentials.h"

namespace sallyport::pg {
namespace {

class StaticLease final : public Lease {
 public:
  explicit StaticLease(ServerLogin login) : login_(std::move(login)) {}
  const ServerLogin& login() const override { return login_; }
  void Release() override {}

 private:
  ServerLogin login_;
};

class StaticCredentials final : public Credentials {
 public:
  explicit StaticCredentials(ServerLogin login) : login_(std::move(login)) {}

  Task<std::unique_ptr<Lease>> Borrow(const op::Session&, std::vector<Grant>, Nanos) override {
    co_return std::make_unique<StaticLease>(login_);
  }
  ServerLogin Admin() const override { return login_; }
  boost::asio::awaitable<void> Sweep() override { co_return; }

 private:
  const ServerLogin login_;
};

}  // namespace

std::shared_ptr<Credentials> MakeStaticCredentials(std::string user, Secret password) {
  return std::make_shared<StaticCredentials>(
      ServerLogin{.user = std::move(user), .password = std::move(password), .startup = {}});
}

}  // namespace sallyport::pg
