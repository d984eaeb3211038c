#include "storage/xet/hash.h"

#include <doctest/doctest.h>

#include "storage/base/digest.h"
#include "storage/xet/chunking.h"
#include "tests/storage/xet/bytes.h"

namespace holdfast::storage::xet {
namespace {

using tests::mixed_bytes;

struct Names {
  std::string file, root;
};

Names names_of(std::span<const std::byte> bytes) {
  HashTree tree;
  while (!bytes.empty()) {
    const auto chunk = bytes.first(first_chunk_bytes(bytes));
    tree.add(chunk_hash(chunk), chunk.size());
    bytes = bytes.subspan(chunk.size());
  }
  const Hash root = tree.take_root();
  return {to_text(file_hash(root)), to_text(root)};
}

}  // namespace

// What npm @huggingface/xetchunk-wasm and blake3-jit say of the same bytes (tests/clients/xet.mjs
// asks them anew for what the server serves).
TEST_CASE(
    "storage/hash: files and runs of chunks have the names that Hugging Face's packages give") {
  struct Case {
    const char* name;
    std::vector<std::byte> bytes;
    Names names;
  };

  const Case cases[] = {
      {"one chunk",
       mixed_bytes(5000, 1),
       {"685f3a0621b252d079b6bdd66eff0d3610d6cd13f27d71f739d47944b1ceb136",
        "d95210cab66e114c816905c30394c246568e70737403cbf173220d2e57cb8639"}},
      {"the same byte again and again",
       std::vector<std::byte>(1'000'000, std::byte{59}),
       {"53f845640fcd1c7440befff65bd93434c83a30c6559a705597d61f2ef64e2f88",
        "a6b5a7f0bb38b6fd5fb39031eb7564e18ea0e7a0b7bea87de54ed1db8bc85884"}},
      {"18 chunks",
       mixed_bytes(1'000'000, 1),
       {"21a116f0b13407b52058e644fe19dbd1398e63edf75cc008d3ea0c2b87c07944",
        "4a91228985a7b80de6ecc210e6e5358be3d6dc4d90d1a8c82b74b81d4c67a698"}},
      {"two of the largest",
       std::vector<std::byte>(262'144),
       {"3445707d5e3fdad1c8dcd3b819f1b4fb93f36e65fbe642912452b5ae17b2962a",
        "7b14e306292c4f843b85b41c5f7d0a4362f6e36009942368079f7924e20d774c"}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const Names found = names_of(c.bytes);
    CHECK(found.root == c.names.root);
    CHECK(found.file == c.names.file);
  }
}

// The n-th chunk is the text of n, and n + 1 bytes long.
TEST_CASE("storage/hash: trees of any height have the root that xetchunk-wasm gives") {
  struct Case {
    std::size_t chunks;
    const char* root;
  };

  constexpr Case kCases[] = {
      {2, "d238ad1433f459c96592d8d5e08e29d425d56beaf7df126bd7120424f1077f30"},
      {3, "05fa514be973d50087e1cab5adf1072d573310c5bcbd1ac81fba16ec9e3e7ddf"},
      {9, "cd193612cddac2b52a697ef856656d659dc005f84d1553055c26256120ffe870"},
      {10, "a488e26775465f9368dadb404a06b61c441bf621383af44c1f787868dfc9bd66"},
      {100, "721917c1353971727f53d33c9b92960b6796b378fadbfe70fbb8f120199e9849"},
      {3000, "fdad8e7485873b3c2f017cca22cbd7c987d55928793afd5f9a57d16030ecb32a"},
  };
  HashTree tree;
  for (const Case& c : kCases) {
    CAPTURE(c.chunks);
    for (std::size_t i = 0; i < c.chunks; ++i) {
      tree.add(chunk_hash(as_bytes(std::to_string(i))), i + 1);
    }
    CHECK(to_text(tree.take_root()) == c.root);
  }
}

TEST_CASE("storage/hash: the root of nothing is zeros, that of one chunk its own hash") {
  HashTree tree;
  CHECK(tree.take_root() == Hash{});
  const Hash hash = chunk_hash(as_bytes("a"));
  tree.add(hash, 1);
  CHECK(tree.take_root() == hash);
}

TEST_CASE("storage/hash: text has the bytes of each eight in reverse, and reads back") {
  Hash hash;
  for (std::size_t i = 0; i < hash.bytes.size(); ++i) hash.bytes[i] = static_cast<std::uint8_t>(i);
  const std::string text = to_text(hash);
  CHECK(text == "07060504030201000f0e0d0c0b0a090817161514131211101f1e1d1c1b1a1918");
  CHECK(parse_hash(text) == hash);
  CHECK(parse_hash("07060504030201000F0E0D0C0B0A090817161514131211101F1E1D1C1B1A1918") == hash);
}

TEST_CASE("storage/hash: what is no hash is nothing") {
  const std::string good = to_text(chunk_hash({}));
  std::string sign = good, space = good, letter = good;
  sign[16] = '-';
  space[0] = ' ';
  letter[63] = 'g';
  for (const std::string& text :
       {std::string(), good.substr(1), good + "0", sign, space, letter, "0x" + good.substr(2)}) {
    CAPTURE(text);
    CHECK_FALSE(parse_hash(text));
  }
}

}  // namespace holdfast::storage::xet
