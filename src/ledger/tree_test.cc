#include "ledger/tree.h"

#include <bit>
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "ledger/tile.h"

namespace sallyport::ledger {
namespace {

/// RFC 6962 section 2.1 by its recursive definition, to check everything else against.
Hash SlowRoot(const std::vector<Hash>& leaves, size_t begin, size_t end) {
  if (begin == end) return EmptyRoot();
  if (end - begin == 1) return leaves[begin];
  const size_t k = std::bit_floor(end - begin - 1);
  return NodeHash(SlowRoot(leaves, begin, begin + k), SlowRoot(leaves, begin + k, end));
}

std::vector<Hash> Leaves(size_t n) {
  std::vector<Hash> leaves;
  for (size_t i = 0; i < n; ++i) leaves.push_back(LeafHash("entry " + std::to_string(i)));
  return leaves;
}

TEST(Tree, RootOfSeventyThousandEntriesIsTheKnownOne) {
  Frontier tree;
  for (const Hash& leaf : Leaves(70'000)) tree.Append(leaf);
  EXPECT_EQ(Base64Encode(tree.Root()), "o5IPun8jmgcam9EHIfE0Gt3vuu3ttBx+JEN6nRa98Ao=");
}

TEST(Tree, EmptyRootIsTheHashOfNothing) {
  EXPECT_EQ(HexEncode(Frontier().Root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Tree, FrontierAgreesWithTheDefinition) {
  const std::vector<Hash> leaves = Leaves(600);
  Frontier tree;
  for (size_t n = 0; n < leaves.size(); ++n) {
    EXPECT_EQ(tree.Root(), SlowRoot(leaves, 0, n)) << n;
    tree.Append(leaves[n]);
  }
}

TEST(Tree, EmitsTheHashesOfTiles) {
  const std::vector<Hash> leaves = Leaves(600);
  Frontier tree;
  std::vector<TileHash> hashes;
  for (const Hash& leaf : leaves) tree.Append(leaf, &hashes);
  size_t level0 = 0, level1 = 0;
  for (const TileHash& h : hashes) {
    if (h.level == 0) {
      EXPECT_EQ(h.index, level0++);
    }
    if (h.level == 1) {
      EXPECT_EQ(h.index, level1);
      EXPECT_EQ(h.hash, SlowRoot(leaves, level1 * 256, level1 * 256 + 256));
      ++level1;
    }
  }
  EXPECT_EQ(level0, 600u);
  EXPECT_EQ(level1, 2u);
}

class Proofs : public testing::Test {
 protected:
  std::vector<Hash> leaves_ = Leaves(130);
  SubtreeReader reader_ = [this](unsigned height, uint64_t index) -> Result<Hash> {
    const size_t begin = index << height, end = begin + (size_t(1) << height);
    if (end > leaves_.size()) return Fail(Errc::not_found, "beyond the tree");
    return SlowRoot(leaves_, begin, end);
  };
};

TEST_F(Proofs, InclusionHoldsForEveryLeafAndSizeAndForNothingElse) {
  for (size_t size = 1; size <= leaves_.size(); ++size) {
    const Hash root = SlowRoot(leaves_, 0, size);
    for (size_t i = 0; i < size; ++i) {
      auto proof = InclusionProof(i, size, reader_);
      ASSERT_TRUE(proof);
      ASSERT_TRUE(VerifyInclusion(leaves_[i], i, size, *proof, root)) << i << " of " << size;
      EXPECT_FALSE(VerifyInclusion(LeafHash("forged"), i, size, *proof, root));
      if (i + 1 < size) {
        EXPECT_FALSE(VerifyInclusion(leaves_[i], i + 1, size, *proof, root));
      }
      if (!proof->empty()) {
        (*proof)[proof->size() / 2][3] ^= 1;
        EXPECT_FALSE(VerifyInclusion(leaves_[i], i, size, *proof, root));
        proof->pop_back();
        EXPECT_FALSE(VerifyInclusion(leaves_[i], i, size, *proof, root));
      }
    }
  }
  EXPECT_FALSE(InclusionProof(5, 5, reader_));
}

TEST_F(Proofs, ConsistencyHoldsForEveryPairAndForNothingElse) {
  for (size_t size = 0; size <= leaves_.size(); ++size) {
    const Hash root = SlowRoot(leaves_, 0, size);
    for (size_t old = 0; old <= size; ++old) {
      const Hash old_root = SlowRoot(leaves_, 0, old);
      auto proof = ConsistencyProof(old, size, reader_);
      ASSERT_TRUE(proof);
      ASSERT_TRUE(VerifyConsistency(old, old_root, size, root, *proof)) << old << " to " << size;
      if (old > 0) {
        EXPECT_FALSE(VerifyConsistency(old, LeafHash("forged"), size, root, *proof));
      }
      if (old > 0 && old < size) {
        EXPECT_FALSE(VerifyConsistency(old, old_root, size, LeafHash("forged"), *proof));
        proof->push_back(root);
        EXPECT_FALSE(VerifyConsistency(old, old_root, size, root, *proof));
      }
    }
  }
  EXPECT_FALSE(ConsistencyProof(6, 5, reader_));
}

TEST(Tile, PathsAreThoseOfTheSpecification) {
  EXPECT_EQ(TilePath({true, 0, 1'234'067, 256}), "tile/entries/x001/x234/067");
  EXPECT_EQ(TilePath({false, 3, 0, 17}), "tile/3/000.p/17");
  EXPECT_EQ(TilePath({false, 0, 999, 256}), "tile/0/999");
  EXPECT_EQ(TilePath({false, 0, 1000, 255}), "tile/0/x001/000.p/255");
  for (const TileName& name : {TileName{true, 0, 1'234'067, 256}, TileName{false, 3, 5, 17}}) {
    EXPECT_EQ(ParseTilePath(TilePath(name)), name);
  }
  for (std::string_view bad :
       {"tile/0/00", "tile/00/000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/07",
        "tile/0/x000/001", "tile/0/1000", "tile/64/000", "tile/entries/", "checkpoint",
        "tile/0/000.p/", "tile/0/x1000/000", "tile/0/-01"}) {
    EXPECT_FALSE(ParseTilePath(bad)) << bad;
  }
}

TEST(Tile, ListOfSeventyThousandIsTheKnownOne) {
  size_t full0 = 0, full1 = 0, bundles = 0;
  std::vector<TileName> partial;
  for (const TileName& name : TilesOf(70'000)) {
    if (name.width < 256) {
      partial.push_back(name);
    } else {
      ++(name.entries ? bundles : name.level == 0 ? full0 : full1);
    }
  }
  EXPECT_EQ(full0, 273u);
  EXPECT_EQ(full1, 1u);
  EXPECT_EQ(bundles, 273u);
  const std::vector<TileName> expected{
      {false, 0, 273, 112}, {false, 1, 1, 17}, {false, 2, 0, 1}, {true, 0, 273, 112}};
  EXPECT_EQ(partial, expected);
  EXPECT_EQ(TilesOf(0).size(), 0u);
  EXPECT_EQ(TilesOf(256).size(), 3u);
}

TEST(Tile, BundlesSplitExactly) {
  std::string bundle;
  AppendToBundle(bundle, "one");
  AppendToBundle(bundle, "");
  ASSERT_TRUE(SplitBundle(bundle, 2));
  EXPECT_EQ((*SplitBundle(bundle, 2))[0], "one");
  EXPECT_FALSE(SplitBundle(bundle, 1));
  EXPECT_FALSE(SplitBundle(bundle, 3));
  EXPECT_FALSE(SplitBundle(bundle.substr(0, bundle.size() - 1), 2));
  EXPECT_FALSE(SplitBundle(bundle + "x", 2));
}

}  // namespace
}  // namespace sallyport::ledger
