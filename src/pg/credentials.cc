#include "pg/credentials.h"

namespace sallyport::pg {
namespace {

class SharedLease final : public Lease {
 public:
  explicit SharedLease(ServerLogin login) : login_(std::move(login)) {}
  const ServerLogin& login() const override { return login_; }
  void Release() override {}

 private:
  ServerLogin login_;
};

class SharedCredentials final : public Credentials {
 public:
  explicit SharedCredentials(LoginSource login) : login_(std::move(login)) {}

  Task<std::unique_ptr<Lease>> Borrow(const op::Session&, std::vector<Grant>, Nanos) override {
    SALLYPORT_CO_TRY(ServerLogin login, co_await login_());
    co_return std::make_unique<SharedLease>(std::move(login));
  }
  Task<ServerLogin> Admin() override { return login_(); }
  boost::asio::awaitable<void> Sweep() override { co_return; }

 private:
  const LoginSource login_;
};

Task<ServerLogin> Ready(ServerLogin login) { co_return login; }

}  // namespace

LoginSource FixedLogin(std::string user, Secret password) {
  return [login = ServerLogin{
              .user = std::move(user), .password = std::move(password), .startup = {}}] {
    return Ready(login);
  };
}

std::shared_ptr<Credentials> MakeSharedCredentials(LoginSource login) {
  return std::make_shared<SharedCredentials>(std::move(login));
}

}  // namespace sallyport::pg
