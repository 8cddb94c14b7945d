#include "credential/remote_secrets.h"

#include <atomic>
#include <gtest/gtest.h>

namespace sallyport::credential {
namespace {

using namespace std::chrono_literals;
using secrets::Ref;

/// A store whose answer can be changed.
struct Place {
  std::atomic<int> asked{0}, version{1};
  std::atomic<Errc> failure{Errc::internal};  // internal: none

  RemoteSecrets::Ask ask() {
    return [this](const Ref& ref, std::stop_token) -> Result<SecretMembers> {
      ++asked;
      if (failure != Errc::internal) return Fail(failure, "no " + ref.name);
      SecretMembers made;
      made.members.emplace("password", Secret("p" + std::to_string(version)));
      return made;
    };
  }
};

const Ref kPassword{Ref::Kind::vault, "secret/data/pg", "password"};

template <class F>
bool Soon(F f) {
  for (int i = 0; i < 400 && !f(); ++i) std::this_thread::sleep_for(10ms);
  return f();
}

TEST(RemoteSecrets, OneReadingServesAll) {
  Place place;
  RemoteSecrets store(3600s, place.ask());
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(store.Read(kPassword)->Reveal(), "p1");
  EXPECT_EQ(store.Read({Ref::Kind::vault, "secret/data/pg", "user"}).error().code, Errc::not_found);
  EXPECT_EQ(place.asked, 1);
}

TEST(RemoteSecrets, AnOutageKeepsAndARefusalEnds) {
  Place place;
  RemoteSecrets store(1s, place.ask());
  ASSERT_TRUE(store.Read(kPassword));
  place.version = 2;
  EXPECT_TRUE(Soon([&] { return store.Read(kPassword)->Reveal() == "p2"; }));
  place.failure = Errc::upstream_unreachable;
  const int before = place.asked;
  EXPECT_TRUE(Soon([&] { return place.asked > before + 1; }));
  EXPECT_EQ(store.Read(kPassword)->Reveal(), "p2");
  place.failure = Errc::not_found;
  EXPECT_TRUE(Soon([&] { return !store.Read(kPassword); }));
  EXPECT_EQ(store.Read(kPassword).error().code, Errc::not_found);
  place.failure = Errc::internal;
  EXPECT_TRUE(Soon([&] { return store.Read(kPassword).has_value(); }));
}

TEST(RemoteSecrets, AFirstReadingThatFailsIsAnError) {
  Place place;
  place.failure = Errc::upstream_timeout;
  RemoteSecrets store(1s, place.ask());
  EXPECT_EQ(store.Read(kPassword).error().code, Errc::upstream_timeout);
  EXPECT_EQ(place.asked, 1);
}

}  // namespace
}  // namespace sallyport::credential
