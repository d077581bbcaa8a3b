// Replays a fuzz corpus through a fuzz target without libFuzzer, so that every saved input is an
// ordinary regression test under g++ and in every preset.
//
// Usage: fuzz_<name> <corpus folder or file>...   Runs the empty input, then each file in name
// order, and prints how many ran. Exit 1 if a folder is missing or empty: a corpus that vanished
// must not pass for one that is clean. A fault in the target itself ends the process (sanitizer,
// assert); the name of the input is printed before it runs, so that the last line names the
// culprit.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <system_error>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

namespace fs = std::filesystem;

// The bytes go into a block of exactly their size: AddressSanitizer then sees the first byte read
// past the end, which the spare capacity of a vector would hide.
void run_input(const std::vector<char>& bytes) {
  auto exact = std::make_unique<std::uint8_t[]>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), exact.get());
  LLVMFuzzerTestOneInput(exact.get(), bytes.size());
}

/// The regular files of `folder` in name order, or the one file that it is; empty if neither.
std::vector<fs::path> inputs_of(const fs::path& folder) {
  std::vector<fs::path> inputs;
  std::error_code error;
  if (fs::is_regular_file(folder, error)) return {folder};
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->is_regular_file()) inputs.push_back(entry->path());
  }
  std::sort(inputs.begin(), inputs.end());
  return inputs;
}

bool run_file(const fs::path& path) {
  std::printf("%s\n", path.filename().c_str());
  std::fflush(stdout);
  std::ifstream file(path, std::ios::binary);
  std::vector<char> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (file.bad() || !file.is_open()) {
    std::fprintf(stderr, "%s: cannot be read\n", path.c_str());
    return false;
  }
  run_input(bytes);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s <corpus folder or file>...\n", argv[0]);
    return 2;
  }
  std::size_t count = 1;
  std::printf("(empty input)\n");
  std::fflush(stdout);
  run_input({});
  for (int i = 1; i < argc; ++i) {
    const auto inputs = inputs_of(argv[i]);
    if (inputs.empty()) {
      std::fprintf(stderr, "%s: corpus folder missing or empty\n", argv[i]);
      return 1;
    }
    for (const auto& path : inputs) {
      if (!run_file(path)) return 1;
      ++count;
    }
  }
  std::printf("%zu inputs ran\n", count);
  return 0;
}
