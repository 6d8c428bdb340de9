#include "store/embedded/data_directory.hpp"

#include <charconv>
#include <cstdio>

namespace mpr {

namespace {

constexpr std::string_view kFormatName = "FORMAT";
constexpr std::string_view kFormatHead = "mpr store, version 1\nhash key ";

std::string format_text(Hash128 key) {
  char digits[40];
  std::snprintf(digits, sizeof digits, "%016llx%016llx\n",
                static_cast<unsigned long long>(key.high),
                static_cast<unsigned long long>(key.low));
  return std::string(kFormatHead) + digits;
}

bool parse_hex(std::string_view digits, std::uint64_t& out) {
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out, 16);
  return error == std::errc() && end == digits.data() + digits.size();
}

Result<Hash128> parse_format(const std::filesystem::path& path, std::string_view text) {
  Hash128 key;
  const std::string_view digits =
      text.size() == kFormatHead.size() + 33 ? text.substr(kFormatHead.size(), 32) : "";
  if (!text.starts_with(kFormatHead) || digits.empty() || text.back() != '\n' ||
      !parse_hex(digits.substr(0, 16), key.high) || !parse_hex(digits.substr(16), key.low)) {
    return fail(Errc::corrupt, path.string() +
                                   " is not what this version writes: another program's directory, "
                                   "a newer version's, or damaged");
  }
  return key;
}

Result<Hash128> write_format(FileSystem& files, const std::filesystem::path& directory) {
  const Hash128 key = KeyedHash::random().key();
  const auto temporary = directory / (std::string(kFormatName) + ".new");
  auto file = files.open(temporary, FileSystem::Open::create);
  if (!file) return std::unexpected(file.error());
  auto done = (*file)->truncate(0);
  if (done) done = (*file)->write(format_text(key), 0);
  if (done) done = (*file)->sync();
  if (done) done = files.rename(temporary, directory / kFormatName);
  if (done) done = files.sync_directory(directory);
  if (!done) return std::unexpected(done.error());
  return key;
}

Result<Hash128> read_format(FileSystem& files, const std::filesystem::path& path) {
  auto file = files.open(path, FileSystem::Open::existing);
  if (!file) return std::unexpected(file.error());
  std::string text(256, '\0');
  const auto size = (*file)->read(text, 0);
  if (!size) return std::unexpected(size.error());
  text.resize(*size);
  return parse_format(path, text);
}

}  // namespace

Result<std::unique_ptr<DataDirectory>> DataDirectory::open(FileSystem& files,
                                                           const std::filesystem::path& path) {
  if (auto made = files.make_directory(path); !made) return std::unexpected(made.error());
  auto lock = files.lock(path / "LOCK");
  if (!lock) return std::unexpected(lock.error());
  const auto names = files.list(path);
  if (!names) return std::unexpected(names.error());

  bool formatted = false;
  bool has_segments = false;
  for (const auto& name : *names) {
    formatted = formatted || name == kFormatName;
    has_segments = has_segments || name.ends_with(".seg");
  }
  if (!formatted && has_segments) {
    return fail(Errc::corrupt, "the directory " + path.string() +
                                   " holds log segments but its FORMAT file is missing");
  }
  const auto key = formatted ? read_format(files, path / kFormatName) : write_format(files, path);
  if (!key) return std::unexpected(key.error());
  return std::unique_ptr<DataDirectory>(new DataDirectory(path, std::move(*lock), KeyedHash(*key)));
}

}  // namespace mpr
