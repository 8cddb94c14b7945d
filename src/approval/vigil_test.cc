#include "approval/vigil.h"

#include "approval/desk_for_test.h"

namespace sallyport::approval {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

class VigilTest : public DeskFixture {
 protected:
  /// Runs it to the end, with everything that it left behind.
  void Finish(boost::asio::io_context& io, boost::asio::awaitable<void> test) {
    boost::asio::co_spawn(io, std::move(test), [](std::exception_ptr e) {
      if (e) std::rethrow_exception(e);
    });
    io.run_for(std::chrono::seconds(10));
    EXPECT_TRUE(io.stopped()) << "something still waits";
  }
};

TEST_F(VigilTest, EndsWithTheDecisionWithAWakeAndWithItsLimit) {
  const Request r = Filed();
  boost::asio::io_context io(1);
  int steps = 0;
  Finish(io,
         [](auto& self, auto& context, const Request& request,
            int& done) -> boost::asio::awaitable<void> {
           Vigil vigil(context.get_executor(), *self.desk_, request.id);
           co_await vigil.Rest(milliseconds(5));  // its limit
           EXPECT_FALSE(vigil.outcome());
           ++done;
           vigil.Wake();  // before it rests: not lost
           co_await vigil.Rest(hours(1));
           EXPECT_FALSE(vigil.outcome());
           ++done;
           EXPECT_TRUE(self.desk_->Withdraw(request.id, Agent(), "not wanted"));
           co_await vigil.Rest(hours(1));
           EXPECT_TRUE(vigil.outcome() && *vigil.outcome() == State::withdrawn);
           co_await vigil.Rest(hours(1));  // stays so
           ++done;
         }(*this, io, r, steps));
  EXPECT_EQ(steps, 3);
}

TEST_F(VigilTest, OneThatIsGivenUpKeepsNothingWaiting) {
  const Request r = Filed();
  boost::asio::io_context io(1);
  Finish(io, [](auto& self, auto& context, const Request& request) -> boost::asio::awaitable<void> {
    {
      Vigil vigil(context.get_executor(), *self.desk_, request.id);
      co_await vigil.Rest(milliseconds(1));
    }
    EXPECT_TRUE(self.desk_->Withdraw(request.id, Agent(), "gone"));
  }(*this, io, r));
}

TEST_F(VigilTest, ARequestThatIsNotThereIsAnOutcome) {
  boost::asio::io_context io(1);
  Finish(io, [](auto& self, auto& context) -> boost::asio::awaitable<void> {
    Vigil vigil(context.get_executor(), *self.desk_, "a_none");
    co_await vigil.Rest(hours(1));
    EXPECT_TRUE(vigil.outcome() && !*vigil.outcome() &&
                vigil.outcome()->error().code == Errc::not_found);
  }(*this, io));
}

}  // namespace
}  // namespace sallyport::approval
