#include <algorithm>

#include "json/document.h"
#include "mask/impl.h"
#include "mask/scan.h"
#include "mask/seal.h"
#include "pg/copy_mask.h"
#include "pg/session.h"

namespace sallyport::pg {
namespace {

constexpr size_t kHeldCell = 64 << 10;  // a longer cell streams
constexpr size_t kWriteAt = 128 << 10;
constexpr size_t kRecordLimit = 1 << 20;

/// How many of the rows stand in the record of a result. It is looked into where it says that it is
/// not all, and where large ones are kept: a row that streamed past is in none.
uint64_t RecordedRows(std::string_view json, uint64_t rows, size_t record_bytes) {
  const bool large = record_bytes > kHeldCell && rows > 0;
  if (!large && !json.ends_with(R"("cut":true})")) return rows;
  const auto document =
      json::Document::Parse(json, {.max_bytes = json.size(), .max_nodes = 1u << 28});
  return document ? document->root()["data"].size() : 0;
}

using Kind = Pending::Kind;

}  // namespace

struct Session::HeldPieces {
  DigitChain chain;
  std::vector<size_t> at;  // where in to_client_
};

bool Session::Classified() const {
  if (classified_transaction_) return true;
  if (pending_.empty()) return false;
  const Pending& front = pending_.front();
  const sql::Analysis* analysis = front.judged      ? front.judged->analysis.get()
                                  : front.portal    ? front.portal->analysis.get()
                                  : front.statement ? front.statement->analysis.get()
                                                    : nullptr;
  return analysis != nullptr && analysis->classified;
}

void Session::Condemn(Error why) {
  if (result_.condemned) return;
  result_.condemned = std::move(why);
  StartCancel();
}

/// How many rows of what follows may be released: whoever fetches in pieces gets no more.
void Session::LimitRows(const Pending& pending) {
  result_.max_rows = pending.permit ? pending.permit->obligations().max_rows : 0;
  if (result_.max_rows == 0) return;
  result_.before = names_.ReleasedBefore(*pending.judged->analysis);
  if (pending.portal) result_.before = std::max(result_.before, pending.portal->released);
}

void Session::CountReleased(const Pending& pending) {
  if (result_.rows == 0 || !pending.judged) return;
  if (pending.portal) pending.portal->released += result_.rows;
  if (!pending.judged->analysis->names.empty()) names_.Released(*pending.judged, result_.rows);
}

bool Session::UseShape(Pending& pending, ShapePtr shape) {
  const std::shared_ptr<const Settings>& settings = settings_.Get();
  Judged& judged = *pending.judged;
  const bool same = judged.mask && judged.masker == settings->masker && judged.shape &&
                    (judged.shape == shape || judged.shape->raw == shape->raw);
  if (!same) {
    auto mask = RowMask::Make(*shape, *judged.analysis, judged.catalog.get(), settings->masker);
    if (!mask) {
      Condemn(mask.error());
      return false;
    }
    judged.mask = std::move(*mask);
    judged.masker = settings->masker;
    judged.shape = shape;
  }
  result_.mask = judged.mask;
  result_.shape = std::move(shape);
  LimitRows(pending);
  const op::UnmaskLicence* licence = pending.permit ? pending.permit->licence() : nullptr;
  if (licence != nullptr && !pending.clear) {
    pending.clear =
        std::make_unique<mask::Clear>(licence->detectors, licence->max_values,
                                      [closes = licence->closes, &clock = front_.options.clock] {
                                        return clock.SteadyNow() < closes;
                                      });
  }
  result_.record.Begin(result_.shape, front_.options.record_bytes);
  return true;
}

/// Rows of an Execute: the columns were described before.
bool Session::UsePortalShape(Pending& pending) {
  if (pending.kind != Kind::execute || !pending.portal) return false;
  ShapePtr shape = pending.portal->shape;
  if (!shape && pending.portal->statement && pending.portal->statement->shape)
    shape = pending.portal->statement->shape->With(pending.portal->formats);
  if (!shape) {
    Condemn(Error(Errc::mask_failed, "rows came without a description of their columns"));
    return true;
  }
  UseShape(pending, std::move(shape));
  return true;
}

void Session::MaskColumnNames(const Shape& shape, std::string_view message, size_t at) {
  if (!shape.long_names || muted_) return;
  const auto settings = front_.settings();
  std::vector<std::string> names;
  bool changed = false;
  for (const ResultColumn& column : shape.columns) {
    mask::Tally tally;
    std::string masked;
    const bool found = settings->masker->MaskText(column.name, {}, masked, tally);
    changed |= found;
    names.push_back(found ? std::move(masked) : column.name);
  }
  if (!changed) return;
  const std::string body(message.substr(5));
  Replace(at, message.size());
  MessageWriter w(to_client_);
  w.Begin('T').U16(static_cast<uint16_t>(names.size()));
  size_t from = 2;
  for (size_t i = 0; i < names.size(); ++i) {
    from += shape.columns[i].name.size() + 1;
    w.CString(names[i]).Bytes(std::string_view(body).substr(from, 18));
    from += 18;
  }
  w.End();
}

size_t Session::WholeRows(size_t at, uint64_t& rows) const {
  const std::string_view data = server_.stream->data();
  size_t end = at;
  while (end + FrameHead::kSize <= data.size() && data[end] == 'D') {
    const size_t length = Load32(data.data() + end + 1);
    if (length < 6 || length + 1 > data.size() - end) break;
    end += length + 1;
    ++rows;
  }
  return end - at;
}

bool Session::OnRows(size_t at, size_t size, uint64_t rows) {
  DropCopyEnds();
  if (pending_.empty()) return Broken("rows that nobody asked for");
  Pending& front = pending_.front();
  if (!result_.mask && !muted_ && !result_.condemned && !UsePortalShape(front))
    return Broken("rows out of place");
  if (muted_ || result_.condemned) {
    Replace(at, size);
    return true;
  }
  std::string_view run = server_.stream->data().substr(at, size);
  if (result_.TooMany(rows)) {
    const uint64_t given = std::min(result_.before + result_.rows, result_.max_rows);
    const uint64_t room = result_.max_rows - given;
    size_t end = 0;
    for (rows = 0; rows < room; ++rows) end += size_t{Load32(run.data() + end + 1)} + 1;
    run = run.substr(0, end);
    Condemn(Error(Errc::rows_exceeded, "the result has more than the " +
                                           std::to_string(result_.max_rows) +
                                           " rows that the rules let through"));
  }
  result_.rows += rows;
  thread_local RowEdits edits;
  if (!result_.mask->Find(run, edits, result_.tally))
    return Broken("rows that do not fit their description");
  if (!edits.empty()) {
    Replace(at, size);
    const size_t begin = to_client_.size();
    edits.Apply(run, to_client_);
    const std::string_view released = std::string_view(to_client_).substr(begin);
    result_.bytes += released.size();
    if (result_.record.wants_rows()) result_.record.Rows(released);
    if (front.clear && front.clear->open()) {  // the log keeps the masked rows
      result_.mask->Reveal(run, edits, *front.clear);
      to_client_.resize(begin);
      edits.Apply(run, to_client_);
    }
    return true;
  }
  result_.bytes += run.size();
  if (result_.record.wants_rows()) result_.record.Rows(run);
  if (run.size() < size) Replace(at + run.size(), size - run.size());
  return true;
}

bool Session::OnCopyStart(char type, std::string_view message, size_t at) {
  Pending& front = pending_.front();
  if ((front.kind != Kind::query && front.kind != Kind::execute) || !front.judged ||
      message.size() < 8)
    return Broken("a COPY that nobody asked for");
  const sql::Analysis& analysis = *front.judged->analysis;
  if (type == 'G' ? !analysis.copy_in : !analysis.copy_out)
    return Broken("a COPY that nobody asked for");
  (void)at;
  result_.copy_out = type == 'H';
  result_.copy_in = type == 'G';
  if (waiting_) answered_.Set();
  result_.copy_binary = message[5] == 1;
  LimitRows(front);
  result_.record.Begin(nullptr, front_.options.record_bytes);
  return true;
}

bool Session::OnCopyRow(std::string_view message, size_t at) {
  if (!result_.copy_out) return Broken("COPY data that nobody asked for");
  if (!muted_ && !result_.condemned && result_.TooMany(1))
    Condemn(Error(Errc::rows_exceeded, "the COPY has more rows than the rules let through"));
  if (result_.copy_binary && !IsBinaryCopy(message.substr(5)))
    Condemn(Error(Errc::mask_failed, "a row of the binary COPY cannot be looked into"));
  if (muted_ || result_.condemned) {
    Replace(at, message.size());
    return true;
  }
  const auto settings = front_.settings();
  const mask::Masker& masker = *settings->masker;
  const std::string_view body = message.substr(5);
  ++result_.rows;
  std::string masked;
  bool changed = false;
  if (result_.copy_binary) {
    changed = MaskBinaryCopy(masker, body, masked, result_.tally);
  } else if (!masker.impl().regexes.empty() || mask::MayHoldCardData(body)) {
    mask::Tally tally;
    changed = masker.MaskText(body, {}, masked, tally);
    if (changed) result_.tally.Add(0, tally);
  }
  if (!result_.copy_binary) result_.record.Text(changed ? std::string_view(masked) : body);
  if (!changed) {
    result_.bytes += message.size();
    return true;
  }
  Replace(at, message.size());
  result_.bytes += masked.size() + 5;
  MessageWriter(to_client_).Begin('d').Bytes(masked).End();
  return true;
}

// ---- messages that are too long to be held

Session::Await Session::NeedBytes(size_t size) {
  while (server_.stream->data().size() < size) {
    server_.stream->SetRoom(std::max<size_t>(size, kHeldCell));
    const auto got = co_await server_.stream->More(std::chrono::steady_clock::time_point::max());
    if (got != net::Stream::Got::data || stop_) co_return false;
  }
  co_return true;
}

/// Moves `size` bytes from the server to the client, through `mask` if there is one.
Session::Await Session::StreamBytes(size_t size, LongMask* mask) {
  while (size > 0) {
    if (!co_await NeedBytes(1)) co_return false;
    const std::string_view piece = server_.stream->data().substr(0, size);
    size -= piece.size();
    if (mask != nullptr)
      mask->Feed(piece, to_client_);
    else
      to_client_.append(piece);
    server_.stream->Consume(piece.size());
    if (to_client_.size() >= kWriteAt && !co_await Release(0)) co_return false;
  }
  if (mask != nullptr) mask->Finish(to_client_);
  co_return true;
}

Session::Await Session::StreamLong(size_t at, size_t total) {
  if (!co_await Release(at)) co_return false;
  const bool row = server_.stream->data().front() == 'D';
  if (pending_.empty()) co_return Broken("data that nobody asked for");
  Pending& front = pending_.front();
  if (row) {
    if (!result_.mask && !muted_ && !result_.condemned && !UsePortalShape(front))
      co_return Broken("rows out of place");
  } else if (!result_.copy_out) {
    co_return Broken("COPY data that nobody asked for");
  }
  if (result_.TooMany(1))
    Condemn(Error(Errc::rows_exceeded, "the result has more rows than the rules let through"));
  if (muted_ || result_.condemned) {
    while (total > 0) {
      if (!co_await NeedBytes(1)) co_return false;
      const size_t n = std::min(total, server_.stream->data().size());
      server_.stream->Consume(n);
      total -= n;
    }
    co_return true;
  }
  ++result_.rows;
  result_.bytes += total;
  inside_message_ = true;
  if (row) {
    if (!co_await StreamRow(total)) co_return false;
  } else if (result_.copy_binary) {
    if (!co_await StreamBinaryCopy(total)) co_return false;
  } else {
    const auto settings = front_.settings();
    LongMask mask(settings->masker, RowMask::Long::scan);
    if (!co_await StreamBytes(FrameHead::kSize, nullptr) ||
        !co_await StreamBytes(total - FrameHead::kSize, &mask))
      co_return false;
    if (mask.found() > 0) result_.tally.Add(0, mask::DetectorKind::pan, mask.found());
  }
  const bool released = co_await Release(0);
  inside_message_ = false;
  client_free_.Set();
  co_return released;
}

Session::Await Session::StreamBinaryCopy(size_t total) {
  if (!co_await StreamBytes(FrameHead::kSize, nullptr)) co_return false;
  LongBinaryCopy mask(front_.settings()->masker);
  for (size_t left = total - FrameHead::kSize; left > 0;) {
    if (!co_await NeedBytes(1)) co_return false;
    const std::string_view piece = server_.stream->data().substr(0, left);
    left -= piece.size();
    if (!mask.Feed(piece, to_client_) || (left == 0 && !mask.Finish()))
      co_return Broken("a malformed row of a binary COPY");
    server_.stream->Consume(piece.size());
    if (to_client_.size() >= kWriteAt && !co_await Release(0)) co_return false;
  }
  if (mask.found() > 0) result_.tally.Add(0, mask::DetectorKind::pan, mask.found());
  co_return true;
}

/// The length of the row went out with its first bytes, so every cell keeps its own. Cells that may
/// be pieces of one number stay here until it is known whether they are.
Session::Await Session::StreamRow(size_t total) {
  if (!co_await NeedBytes(7)) co_return false;
  const RowMask& mask = *result_.mask;
  const size_t columns = Load16(server_.stream->data().data() + 5);
  if (columns != mask.columns()) co_return Broken("rows that do not fit their description");
  if (!co_await StreamBytes(7, nullptr)) co_return false;
  size_t left = total - 7;
  HeldPieces pieces;
  for (size_t i = 0; i < columns; ++i) {
    if (left < 4 || !co_await NeedBytes(4)) co_return Broken("a malformed row");
    const std::string head(server_.stream->data().substr(0, 4));
    const uint32_t size = Load32(head.data());
    server_.stream->Consume(4);
    left -= 4;
    const bool null = size == 0xffffffff;
    if (!null && size > left) co_return Broken("a malformed row");
    if (null || size > kHeldCell) {
      ClosePieces(pieces, i);
      to_client_.append(head);
      if (null) continue;
      left -= size;
      LongMask long_mask(result_.mask->shared_masker(), mask.LongCell(i));
      if (!co_await StreamBytes(size, &long_mask)) co_return false;
      if (long_mask.found() > 0) result_.tally.Add(i, mask::DetectorKind::pan, long_mask.found());
      continue;
    }
    left -= size;
    if (!co_await NeedBytes(size)) co_return false;
    const std::string_view value = server_.stream->data().substr(0, size);
    const bool piece = mask.Joins(i) && DigitChain::IsPiece(value);
    if (!piece) ClosePieces(pieces, i);
    to_client_.append(head);
    if (piece) {
      pieces.chain.Add(value);
      pieces.at.push_back(to_client_.size());
    }
    HeldCell(i, value);
    server_.stream->Consume(size);
    if (!piece && to_client_.size() >= kWriteAt && !co_await Release(0)) co_return false;
  }
  ClosePieces(pieces, columns);
  if (left != 0) co_return Broken("a malformed row");
  co_return true;
}

/// Appends a cell of a long row, masked if need be, in its own length.
void Session::HeldCell(size_t column, std::string_view value) {
  std::string cell;
  bool null = false;
  if (!result_.mask->Cell(column, value, cell, null, result_.tally)) {
    to_client_.append(value);
  } else if (!null && cell.size() == value.size()) {
    to_client_.append(cell);
  } else {
    to_client_.append(value.size(), result_.shape->columns[column].binary ? '\0' : '*');
  }
}

/// The cells before column `end` that were held: hidden if they are a card number together.
void Session::ClosePieces(HeldPieces& pieces, size_t end) {
  const size_t first = end - pieces.at.size();
  if (!pieces.at.empty() && pieces.chain.Close(*result_.mask->shared_masker())) {
    for (size_t k = 0; k < pieces.at.size(); ++k) {
      const size_t at = pieces.at[k];
      std::fill_n(to_client_.begin() + ptrdiff_t(at), Load32(to_client_.data() + at - 4), '*');
      result_.tally.Add(first + k, mask::DetectorKind::pan);
    }
  }
  pieces.at.clear();
}

Session::Await Session::Settle(Pending& pending, bool ok, std::string_view code,
                               std::string_view text) {
  gate::Settlement settlement;
  settlement.ok = ok;
  settlement.code = code;
  const bool current = !pending_.empty() && &pending == &pending_.front();
  if (current) {
    if (result_.condemned) settlement.reason = result_.condemned->code;
    const mask::Masker& masker = *settings_.Get()->masker;
    const std::string_view json =
        result_.record.Finish(ok ? text : std::string_view(), result_.rows, result_.bytes,
                              ok ? std::string_view() : text);
    settlement.masked = result_.tally.Counts();
    const uint64_t kept = RecordedRows(json, result_.rows, front_.options.record_bytes);
    const size_t limit = std::max(kRecordLimit, 4 * front_.options.record_bytes);
    auto payload = mask::Seal::Json(masker, json, {}, limit, settlement.masked);
    if (!payload) {
      stop_ = payload.error();
      co_return false;
    }
    settlement.result = std::move(*payload);
    settlement.result.rows = result_.rows;
    settlement.result.rows_missing = result_.rows - std::min(result_.rows, kept);
    if (settlement.result.rows_missing > 0) settlement.result.complete = false;
    figures_->rows.fetch_add(result_.rows, std::memory_order_relaxed);
    uint64_t masked = 0;
    for (const op::MaskCount& count : settlement.masked) masked += count.count;
    if (masked > 0) figures_->masked.fetch_add(masked, std::memory_order_relaxed);
  }
  if (pending.permit->licence() != nullptr) {
    settlement.unmasked = pending.clear ? op::Unmasked{.values = pending.clear->values(),
                                                       .places = pending.clear->places()}
                                        : op::Unmasked{};
  }
  gate::Permit permit = std::move(*pending.permit);
  pending.permit.reset();
  const auto settled =
      co_await front_.options.gate.Settle(std::move(permit), std::move(settlement));
  if (!settled) {
    stop_ = settled.error();
    co_return false;
  }
  co_return true;
}

}  // namespace sallyport::pg
