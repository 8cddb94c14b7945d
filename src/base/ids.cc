#include "base/ids.h"

#include <cstdint>
#include <cstdlib>
#include <sys/random.h>
#include <vector>

#include "base/bytes.h"

namespace sallyport {
namespace {

/// Random bytes by the kernel, fetched a page at a time: ids are made on the hot path.
void FillRandom(uint8_t* out, size_t n) {
  thread_local std::array<uint8_t, 1024> pool;
  thread_local size_t used = pool.size();
  for (size_t i = 0; i < n; ++i) {
    if (used == pool.size()) {
      size_t got = 0;
      while (got < pool.size()) {
        const ssize_t r = getrandom(pool.data() + got, pool.size() - got, 0);
        if (r < 0) std::abort();  // no randomness: nothing this process does would be safe
        got += size_t(r);
      }
      used = 0;
    }
    out[i] = pool[used];
    pool[used++] = 0;
  }
}

}  // namespace

std::string NewId(std::string_view prefix) {
  constexpr std::string_view alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
  std::array<uint8_t, 16> raw;
  FillRandom(raw.data(), raw.size());
  std::string id;
  id.reserve(prefix.size() + raw.size());
  id = prefix;
  for (uint8_t b : raw) id += alphabet[b & 31];
  return id;
}

std::string NewRandom(size_t n) {
  std::string raw(n, '\0');
  FillRandom(reinterpret_cast<uint8_t*>(raw.data()), n);
  return raw;
}

std::string NewHandle(size_t n) {
  std::vector<uint8_t> raw(n);
  FillRandom(raw.data(), n);
  return Base64UrlEncode(raw);
}

}  // namespace sallyport
