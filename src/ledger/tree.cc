#include "ledger/tree.h"

#include <bit>
#include <cstdlib>
#include <openssl/evp.h>

namespace sallyport::ledger {
namespace {

/// One prefetched context per thread: fetching SHA-256 anew each time doubles the cost of a short
/// hash.
class Hasher {
 public:
  Hasher() : md_(EVP_MD_fetch(nullptr, "SHA256", nullptr)), context_(EVP_MD_CTX_new()) {
    // Without SHA-256 there is no evidence, and nothing may run without evidence.
    if (md_ == nullptr || context_ == nullptr || EVP_DigestInit_ex2(context_, md_, nullptr) != 1)
      std::abort();
  }
  ~Hasher() {
    EVP_MD_CTX_free(context_);
    EVP_MD_free(md_);
  }
  Hasher(const Hasher&) = delete;

  Hash operator()(std::string_view prefix, std::string_view a, std::string_view b = {}) {
    Hash out;
    const bool ok = EVP_DigestInit_ex2(context_, nullptr, nullptr) == 1 &&
                    EVP_DigestUpdate(context_, prefix.data(), prefix.size()) == 1 &&
                    EVP_DigestUpdate(context_, a.data(), a.size()) == 1 &&
                    EVP_DigestUpdate(context_, b.data(), b.size()) == 1 &&
                    EVP_DigestFinal_ex(context_, out.data(), nullptr) == 1;
    if (!ok) std::abort();
    return out;
  }

 private:
  EVP_MD* md_;
  EVP_MD_CTX* context_;
};

Hasher& ThreadHasher() {
  thread_local Hasher hasher;
  return hasher;
}

std::string_view View(const Hash& h) { return {reinterpret_cast<const char*>(h.data()), h.size()}; }

/// Largest power of two below n. REQUIRES n > 1.
uint64_t Split(uint64_t n) { return std::bit_floor(n - 1); }

/// MTH(D[begin:end]) where begin is a multiple of the width's enclosing power of two.
Result<Hash> RangeHash(uint64_t begin, uint64_t end, const SubtreeReader& read) {
  const uint64_t width = end - begin;
  if (std::has_single_bit(width)) {
    const unsigned height = unsigned(std::countr_zero(width));
    return read(height, begin >> height);
  }
  const uint64_t k = Split(width);
  SALLYPORT_TRY(const Hash left, RangeHash(begin, begin + k, read));
  SALLYPORT_TRY(const Hash right, RangeHash(begin + k, end, read));
  return NodeHash(left, right);
}

Result<> Path(uint64_t index, uint64_t begin, uint64_t end, const SubtreeReader& read,
              std::vector<Hash>& out) {
  if (end - begin == 1) return {};
  const uint64_t middle = begin + Split(end - begin);
  if (index < middle) {
    SALLYPORT_CHECK(Path(index, begin, middle, read, out));
    SALLYPORT_TRY(const Hash h, RangeHash(middle, end, read));
    out.push_back(h);
  } else {
    SALLYPORT_CHECK(Path(index, middle, end, read, out));
    SALLYPORT_TRY(const Hash h, RangeHash(begin, middle, read));
    out.push_back(h);
  }
  return {};
}

Result<> SubProof(uint64_t old_size, uint64_t begin, uint64_t end, bool known,
                  const SubtreeReader& read, std::vector<Hash>& out) {
  if (old_size == end) {
    if (!known) {
      SALLYPORT_TRY(const Hash h, RangeHash(begin, end, read));
      out.push_back(h);
    }
    return {};
  }
  const uint64_t middle = begin + Split(end - begin);
  if (old_size <= middle) {
    SALLYPORT_CHECK(SubProof(old_size, begin, middle, known, read, out));
    SALLYPORT_TRY(const Hash h, RangeHash(middle, end, read));
    out.push_back(h);
  } else {
    SALLYPORT_CHECK(SubProof(old_size, middle, end, false, read, out));
    SALLYPORT_TRY(const Hash h, RangeHash(begin, middle, read));
    out.push_back(h);
  }
  return {};
}

}  // namespace

Hash Sha256(std::string_view bytes) { return ThreadHasher()({}, bytes); }
Hash LeafHash(std::string_view entry) { return ThreadHasher()({"\x00", 1}, entry); }
Hash NodeHash(const Hash& left, const Hash& right) {
  return ThreadHasher()({"\x01", 1}, View(left), View(right));
}
Hash EmptyRoot() { return Sha256({}); }

void Frontier::Append(const Hash& leaf, std::vector<TileHash>* tiles) {
  Hash h = leaf;
  if (tiles != nullptr) tiles->push_back({0, size_, h});
  unsigned height = 0;
  for (uint64_t rest = size_; (rest & 1) != 0; rest >>= 1) {
    h = NodeHash(peaks_.back(), h);
    peaks_.pop_back();
    ++height;
    if (tiles != nullptr && height % 8 == 0)
      tiles->push_back({uint8_t(height / 8), size_ >> height, h});
  }
  peaks_.push_back(h);
  ++size_;
}

Hash Frontier::Root() const {
  if (peaks_.empty()) return EmptyRoot();
  Hash h = peaks_.back();
  for (size_t i = peaks_.size() - 1; i > 0; --i) h = NodeHash(peaks_[i - 1], h);
  return h;
}

Result<Hash> RootAt(uint64_t size, const SubtreeReader& read) {
  if (size == 0) return EmptyRoot();
  return RangeHash(0, size, read);
}

Result<std::vector<Hash>> InclusionProof(uint64_t index, uint64_t size, const SubtreeReader& read) {
  if (index >= size) return Fail(Errc::not_found, "index is not below the tree size");
  std::vector<Hash> proof;
  SALLYPORT_CHECK(Path(index, 0, size, read, proof));
  return proof;
}

Result<std::vector<Hash>> ConsistencyProof(uint64_t old_size, uint64_t size,
                                           const SubtreeReader& read) {
  if (old_size > size) return Fail(Errc::not_found, "the older size is above the newer one");
  std::vector<Hash> proof;
  if (old_size == 0) return proof;
  SALLYPORT_CHECK(SubProof(old_size, 0, size, true, read, proof));
  return proof;
}

bool VerifyInclusion(const Hash& leaf, uint64_t index, uint64_t size,
                     const std::vector<Hash>& proof, const Hash& root) {
  if (index >= size) return false;
  uint64_t fn = index, sn = size - 1;
  Hash h = leaf;
  for (const Hash& p : proof) {
    if (sn == 0) return false;
    if ((fn & 1) != 0 || fn == sn) {
      h = NodeHash(p, h);
      while ((fn & 1) == 0 && fn != 0) fn >>= 1, sn >>= 1;
    } else {
      h = NodeHash(h, p);
    }
    fn >>= 1, sn >>= 1;
  }
  return sn == 0 && h == root;
}

bool VerifyConsistency(uint64_t old_size, const Hash& old_root, uint64_t size, const Hash& root,
                       const std::vector<Hash>& proof) {
  if (old_size > size) return false;
  if (old_size == size) return proof.empty() && old_root == root;
  if (old_size == 0) return proof.empty() && old_root == EmptyRoot();
  uint64_t fn = old_size - 1, sn = size - 1;
  while ((fn & 1) != 0) fn >>= 1, sn >>= 1;
  size_t next = 0;
  if (fn != 0 && proof.empty()) return false;
  Hash old_hash = fn == 0 ? old_root : proof[next++];  // fn == 0: the old tree is a perfect subtree
  Hash new_hash = old_hash;
  for (; next < proof.size(); ++next) {
    if (sn == 0) return false;
    if ((fn & 1) != 0 || fn == sn) {
      old_hash = NodeHash(proof[next], old_hash);
      new_hash = NodeHash(proof[next], new_hash);
      while ((fn & 1) == 0 && fn != 0) fn >>= 1, sn >>= 1;
    } else {
      new_hash = NodeHash(new_hash, proof[next]);
    }
    fn >>= 1, sn >>= 1;
  }
  return sn == 0 && old_hash == old_root && new_hash == root;
}

}  // namespace sallyport::ledger
