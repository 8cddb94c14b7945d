#include "export/spool.h"

#include <algorithm>

#include "base/bytes.h"
#include "ledger/checkpoint.h"
#include "ledger/file.h"
#include "ledger/tile.h"
#include "ledger/tree.h"

namespace sallyport::exporting {
namespace {

constexpr size_t kHeldEntries = 4096;
constexpr size_t kHeldBytes = 16 << 20;  // of one cache

}  // namespace

Spool::Spool(const std::filesystem::path& data_dir)
    : checkpoint_(data_dir / "log" / "checkpoint"), files_(data_dir / "log") {}

Result<Spool> Spool::Open(const std::filesystem::path& data_dir) {
  Spool spool(data_dir);
  const Result<> read = spool.Refresh();
  if (!read && read.error().code == Errc::not_found) {
    return Fail(Errc::not_found, data_dir.string() + " holds no log (there is no log/checkpoint)");
  }
  if (!read) return std::unexpected(read.error());
  return spool;
}

Result<> Spool::Refresh() {
  SALLYPORT_TRY(const std::string note, ledger::ReadFile(checkpoint_));
  SALLYPORT_TRY(const ledger::Checkpoint checkpoint, ledger::PeekCheckpoint(note));
  origin_ = checkpoint.origin;
  size_ = checkpoint.size;
  return {};
}

Result<std::string_view> Spool::BytesOf(uint64_t index, Bundle& bundle) {
  using ledger::kTileWidth;
  const uint64_t number = index / kTileWidth, offset = index % kTileWidth;
  if (bundle.number != number || offset >= bundle.entries.size()) {
    const unsigned width =
        unsigned(std::min<uint64_t>(kTileWidth, size_ - std::min(size_, number * kTileWidth)));
    if (offset >= width) return Fail(Errc::not_found, "there is no entry " + std::to_string(index));
    bundle.number = ~uint64_t(0);
    const ledger::TileName name{true, 0, number, width};
    SALLYPORT_TRY(bundle.bytes, ledger::ReadTile(files_, name));
    auto entries = ledger::SplitBundle(bundle.bytes, width);
    if (!entries && width < kTileWidth)  // the full bundle has taken the place of the partial one
      entries = ledger::SplitBundle(bundle.bytes, kTileWidth);
    if (!entries) return Fail(Errc::request_malformed, ledger::TilePath(name) + " is malformed");
    bundle.entries = *std::move(entries);
    bundle.number = number;
  }
  return bundle.entries[offset];
}

const Spool::Held& Spool::Hold(Cache& cache, uint64_t index, std::string_view bytes) {
  auto held = std::make_unique<Held>();
  held->bytes = bytes;
  if (auto entry = ledger::DecodeEntry(held->bytes)) {
    held->entry = *std::move(entry);
    held->readable = true;
  }
  const auto [place, fresh] = cache.held.try_emplace(index, std::move(held));
  if (!fresh) return *place->second;
  cache.bytes += bytes.size();
  cache.order.push_back(index);
  while (cache.order.size() > 1 &&
         (cache.order.size() > kHeldEntries || cache.bytes > kHeldBytes)) {
    const auto oldest = cache.held.find(cache.order.front());
    cache.bytes -= oldest->second->bytes.size();
    cache.held.erase(oldest);
    cache.order.pop_front();
  }
  return *place->second;
}

Result<const ledger::Entry*> Spool::Find(Cache& cache, uint64_t index) {
  const auto known = cache.held.find(index);
  const Held* held = known == cache.held.end() ? nullptr : known->second.get();
  if (held == nullptr) {
    if (index >= size_) return nullptr;
    SALLYPORT_TRY(const std::string_view bytes, BytesOf(index, elsewhere_));
    held = &Hold(cache, index, bytes);
  }
  return held->readable ? &held->entry : nullptr;
}

Result<Event> Spool::Read(uint64_t index) {
  Event event;
  SALLYPORT_TRY(event.bytes, BytesOf(index, here_));
  event.origin = origin_;
  event.index = index;
  event.leaf = Base64Encode(ledger::LeafHash(event.bytes));
  Result<ledger::Entry> entry = ledger::DecodeEntry(event.bytes);
  if (!entry) return event;
  entry_ = *std::move(entry);
  event.entry = &entry_;
  // Most entries are asked for again by the next ones; a look-up costs a bundle.
  if (entry_.event == "auth.success") Hold(sessions_, index, event.bytes);
  if (entry_.event == "call.intent") Hold(intents_, index, event.bytes);
  if (entry_.has_session && entry_.session < index) {
    SALLYPORT_TRY(event.session, Find(sessions_, entry_.session));
  }
  const auto intent = entry_.document.root()["i"].integer();
  if (intent && *intent >= 0 && uint64_t(*intent) < index) {
    SALLYPORT_TRY(event.intent, Find(intents_, uint64_t(*intent)));
  }
  return event;
}

Result<std::string> Spool::LeafOf(uint64_t index) {
  SALLYPORT_TRY(const std::string_view bytes, BytesOf(index, elsewhere_));
  return Base64Encode(ledger::LeafHash(bytes));
}

}  // namespace sallyport::exporting
