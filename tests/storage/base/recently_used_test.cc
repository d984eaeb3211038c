#include "storage/base/recently_used.h"

#include <string>
#include <string_view>

#include <doctest/doctest.h>

namespace holdfast {
namespace {

std::string known(RecentlyUsed<char, int>& values, std::string_view keys) {
  std::string found;
  for (const char key : keys) {
    if (values.find(key)) found += key;
  }
  return found;
}

TEST_CASE("storage/recently_used: what nobody used for longest makes room") {
  RecentlyUsed<char, int> values(2);
  values.add('a', std::make_shared<int>(1));
  values.add('b', std::make_shared<int>(2));
  CHECK(known(values, "ba") == "ba");
  values.add('c', std::make_shared<int>(3));
  CHECK(known(values, "abc") == "ac");
  values.forget('a');
  values.forget('x');
  CHECK(known(values, "abc") == "c");
}

TEST_CASE("storage/recently_used: what is here stays, and lives on with whoever uses it") {
  RecentlyUsed<char, int> values(1);
  values.add('a', std::make_shared<int>(1));
  values.add('a', std::make_shared<int>(2));
  const auto used = values.find('a');
  CHECK(*used == 1);
  values.add('b', std::make_shared<int>(3));
  CHECK(values.find('a') == nullptr);
  CHECK(*used == 1);
}

}  // namespace
}  // namespace holdfast
