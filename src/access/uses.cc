#include "access/uses.h"

#include <memory>

namespace sallyport::access {

Uses::Uses(state::Writer& writer) : writer_(writer) {
  const auto used = std::make_shared<decltype(used_)>();
  loaded_ = writer_.CommitBlocking([used](state::Database& db) -> Result<> {
    used->clear();
    SALLYPORT_TRY(auto stale, db.Use("DELETE FROM session_use WHERE session NOT IN"
                                     " (SELECT id FROM session)"));
    SALLYPORT_CHECK(stale.Run());
    SALLYPORT_TRY(auto s, db.Use("SELECT session, number, used FROM session_use"));
    for (;;) {
      SALLYPORT_TRY(const bool more, s.Step());
      if (!more) return {};
      const int64_t count = s.Integer(2);
      (*used)[{std::string(s.Text(0)), static_cast<uint32_t>(s.Integer(1))}] =
          static_cast<uint32_t>(count);
    }
  });
  used_ = std::move(*used);
}

Task<> Uses::Take(std::string session, uint32_t limit, uint32_t most) {
  if (!loaded_) co_return loaded_;
  uint32_t now = 0;
  {
    const std::lock_guard lock(mutex_);
    uint32_t& used = used_[{session, limit}];
    if (used >= most) co_return Fail(Errc::grant_exceeded, "the uses of the limit are used up");
    now = ++used;
  }
  co_return co_await writer_.Commit(
      [session = std::move(session), limit, now](state::Database& db) -> Result<> {
        SALLYPORT_TRY(auto s, db.Use("INSERT INTO session_use VALUES (?, ?, ?) ON CONFLICT DO"
                                     " UPDATE SET used = max(used, excluded.used)"));
        s.Bind(session).Bind(int64_t(limit)).Bind(int64_t(now));
        return s.Run();
      });
}

uint32_t Uses::Used(const std::string& session, uint32_t limit) const {
  const std::lock_guard lock(mutex_);
  const auto found = used_.find({session, limit});
  return found == used_.end() ? 0 : found->second;
}

}  // namespace sallyport::access
