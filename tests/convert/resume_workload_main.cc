// A conversion of the folder MODEL into the folder OUT, in a process of its own:
//
//   convert_resume_workload MODEL OUT ITEMS kill|wait
//
// Once ITEMS tensors are finished it kills itself, or writes a byte to its output and goes on when
// its input has one.
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

#include <unistd.h>

#include "convert/convert.h"
#include "tests/convert/interrupter.h"
#include "tests/convert/resume_request.h"

using namespace holdfast;

namespace {

class Waiter final : public storage::JobContext {
 public:
  explicit Waiter(std::uint64_t after) : after_(after) {}

  void report(const storage::Progress& progress) override {
    if (waited_ || progress.phase != "converting" || progress.done_items < after_) return;
    waited_ = true;
    char byte = 0;
    if (::write(STDOUT_FILENO, &byte, 1) != 1 || ::read(STDIN_FILENO, &byte, 1) != 1) ::_exit(3);
  }

  void log(std::string_view) override {}

  std::stop_token stop() const override { return {}; }

 private:
  std::uint64_t after_;
  bool waited_ = false;
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 5) return 2;
  const convert::ConvertRequest request = convert::test::resume_request(arguments[1], arguments[2]);
  const std::uint64_t after = std::stoull(arguments[3]);
  convert::test::Interrupter killer(after, convert::test::Interrupter::Manner::Kill);
  Waiter waiter(after);
  storage::JobContext& context =
      std::string_view(arguments[4]) == "kill" ? static_cast<storage::JobContext&>(killer) : waiter;
  try {
    convert::convert(request, nullptr, context);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
