#include "credential/rds.h"

#include "credential/aws_keys.h"
#include "credential/sigv4.h"

namespace sallyport::credential {

RdsPasswords::RdsPasswords(Database database, RdsIam config, Fetch fetch, const Clock& clock)
    : database_(std::move(database)),
      config_(std::move(config)),
      clock_(clock),
      obtain_([this, fetch = std::move(fetch)](std::stop_token stop) {
        return ObtainAwsKey(config_.keys, config_.region, fetch, clock_, std::move(stop));
      }),
      keys_(database_.connection, clock, 1) {}

Task<RdsPasswords::Password> RdsPasswords::Make() {
  Password made;
  made.key = keys_.Known({}, obtain_);
  if (!made.key) {
    SALLYPORT_CO_TRY(made.key, co_await keys_.Get({}, obtain_));
  }
  const AwsKey key{made.key->id, made.key->secret, made.key->session_token};
  SALLYPORT_CO_TRY(made.token, RdsToken(database_.host, database_.port, database_.user, key,
                                        config_.region, clock_.WallNow()));
  co_return made;
}

void RdsPasswords::Refused(const MaterialPtr& key) { (void)keys_.Refused({}, key); }

}  // namespace sallyport::credential
