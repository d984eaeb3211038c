// What an action that must fail fails with.
#pragma once

#include <functional>

#include <doctest/doctest.h>

#include "storage/base/error.h"

namespace holdfast::tests {

// The kind of the error that `action` throws; the test fails when it throws none.
inline ErrorKind kind_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.kind();
  }
  FAIL("expected an error");
  return ErrorKind::Io;
}

}  // namespace holdfast::tests
