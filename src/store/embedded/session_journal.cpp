#include "store/embedded/session_journal.hpp"

#include <algorithm>
#include <charconv>

#include "base/log.hpp"
#include "store/embedded/bytes.hpp"
#include "store/embedded/crc32c.hpp"

namespace mpr {

namespace {

constexpr std::string_view kMagic = "MPRSESS1";
constexpr std::size_t kFileHeaderBytes = 24;  // magic, incarnation, checksum, filling
constexpr std::size_t kFrameBytes = 8;        // checksum and length of a record's body
constexpr std::size_t kMostBodyBytes = 64 * 1024;
constexpr std::size_t kWindowBytes = 256 * 1024;
constexpr std::chrono::seconds kRetryAfter{1};
// A compaction that did not come to its end.
constexpr std::string_view kUnfinished = ".log.new";

enum class Kind : std::uint8_t { opened = 1, closed = 2 };

std::string file_header(std::uint64_t incarnation) {
  std::string out(kMagic);
  put_number(out, incarnation);
  put_number(out, crc32c(0, out));
  out.resize(kFileHeaderBytes, '\0');
  return out;
}

std::optional<std::uint64_t> parse_file_header(std::string_view bytes) {
  if (bytes.size() < kFileHeaderBytes || !bytes.starts_with(kMagic)) return std::nullopt;
  ByteReader reader(bytes.substr(kMagic.size()));
  const auto incarnation = reader.number<std::uint64_t>();
  const auto checksum = reader.number<std::uint32_t>();
  if (checksum != crc32c(0, bytes.substr(0, kMagic.size() + 8))) return std::nullopt;
  return incarnation;
}

std::string framed(std::string_view body) {
  std::string out;
  put_number(out, crc32c(0, body));
  put_number(out, static_cast<std::uint32_t>(body.size()));
  out += body;
  return out;
}

std::string encode(const SessionOpened& opened) {
  std::string body;
  put_number(body, Kind::opened);
  put_number(body, opened.epoch.value);
  put_number(body, opened.opened_at.value);
  put_text(body, opened.tenant);
  put_text(body, opened.connection);
  put_text(body, opened.session_id);
  return framed(body);
}

std::string encode(const SessionClosed& closed) {
  std::string body;
  put_number(body, Kind::closed);
  put_number(body, closed.epoch.value);
  put_number(body, closed.key.high);
  put_number(body, closed.key.low);
  return framed(body);
}

// False: this is no record.
bool visit(std::string_view body, const SessionJournal::OnOpened& on_opened,
           const SessionJournal::OnClosed& on_closed) {
  ByteReader reader(body);
  const auto kind = static_cast<Kind>(reader.number<std::uint8_t>());
  const Epoch epoch{reader.number<std::uint64_t>()};
  if (kind == Kind::closed) {
    SessionClosed closed;
    closed.epoch = epoch;
    closed.key.high = reader.number<std::uint64_t>();
    closed.key.low = reader.number<std::uint64_t>();
    if (!reader.ok() || !reader.left().empty()) return false;
    on_closed(closed);
    return true;
  }
  SessionOpened opened;
  opened.epoch = epoch;
  opened.opened_at.value = reader.number<std::uint64_t>();
  opened.tenant = reader.text();
  opened.connection = reader.text();
  opened.session_id = reader.text();
  if (kind != Kind::opened || !reader.ok() || !reader.left().empty()) return false;
  on_opened(opened);
  return true;
}

// Takes one record off the front of `bytes`; nullopt: there is no whole valid one.
std::optional<std::size_t> visit_first(std::string_view bytes,
                                       const SessionJournal::OnOpened& on_opened,
                                       const SessionJournal::OnClosed& on_closed) {
  ByteReader reader(bytes);
  const auto checksum = reader.number<std::uint32_t>();
  const auto length = reader.number<std::uint32_t>();
  if (!reader.ok() || length > kMostBodyBytes || length > reader.left().size()) {
    return std::nullopt;
  }
  const std::string_view body = reader.left().substr(0, length);
  if (crc32c(0, body) != checksum || !visit(body, on_opened, on_closed)) return std::nullopt;
  return kFrameBytes + length;
}

std::optional<std::uint64_t> parse_name(std::string_view name) {
  constexpr std::string_view kHead = "sessions-";
  std::uint64_t number = 0;
  if (!name.starts_with(kHead)) return std::nullopt;
  const char* const end = name.data() + name.size();
  const auto [next, error] = std::from_chars(name.data() + kHead.size(), end, number);
  if (error != std::errc() || std::string_view(next, end) != ".log") return std::nullopt;
  return number;
}

}  // namespace

std::string SessionJournal::name_of(std::uint64_t number) const {
  return "sessions-" + std::to_string(number) + ".log";
}

Result<void> SessionJournal::load(const OnOpened& on_opened, const OnClosed& on_closed) {
  const auto names = files_.list(directory_.path());
  if (!names) return std::unexpected(names.error());
  for (const std::string& name : *names) {
    const auto number = parse_name(name);
    if (!number && name.ends_with(kUnfinished)) {
      if (auto removed = files_.remove(directory_.file(name)); !removed) return removed;
    }
    if (!number) continue;
    auto file = files_.open(directory_.file(name), FileSystem::Open::existing);
    if (!file) return std::unexpected(file.error());
    const auto bytes = (*file)->size();
    if (!bytes) return std::unexpected(bytes.error());
    if (auto done = read(name, on_opened, on_closed, true); !done) return done;
    full_.push_back({*number, *bytes});
    next_number_ = std::max(next_number_, *number + 1);
  }
  return {};
}

Result<void> SessionJournal::read_opened(const OnOpened& on_opened) {
  std::vector<JournalFile> old;
  {
    std::lock_guard lock(mutex_);
    old = full_;
  }
  for (const JournalFile& file : old) {
    auto done = read(name_of(file.number), on_opened, [](const SessionClosed&) {}, false);
    if (!done) return done;
  }
  return {};
}

// Through a window that always begins with a record.
Result<void> SessionJournal::read(const std::string& name, const OnOpened& on_opened,
                                  const OnClosed& on_closed, bool report) {
  auto file = files_.open(directory_.file(name), FileSystem::Open::existing);
  if (!file) return std::unexpected(file.error());
  std::string window(kWindowBytes, '\0');
  auto got = (*file)->read(std::span(window.data(), kFileHeaderBytes), 0);
  if (!got) return std::unexpected(got.error());
  const auto incarnation = parse_file_header(std::string_view(window).substr(0, *got));
  std::uint64_t offset = incarnation ? kFileHeaderBytes : 0;
  if (incarnation && report) incarnation_ = std::max(incarnation_, *incarnation);
  while (incarnation) {
    got = (*file)->read(std::span(window.data(), window.size()), offset);
    if (!got) return std::unexpected(got.error());
    std::string_view left = std::string_view(window).substr(0, *got);
    const std::size_t before = left.size();
    while (const auto taken = visit_first(left, on_opened, on_closed)) left.remove_prefix(*taken);
    offset += before - left.size();
    if (before == left.size()) break;  // the end, or what nobody can read
  }
  const auto size = (*file)->size();
  if (!size) return std::unexpected(size.error());
  if (report && offset < *size) {
    log::warn("dropped the end of a session journal: a write was cut short, or it is damaged",
              {{"file", name}, {"offset", offset}, {"dropped_bytes", *size - offset}});
  }
  return {};
}

Result<void> SessionJournal::start() {
  incarnation_ += 1;
  std::lock_guard lock(mutex_);
  if (auto begun = begin_file(); !begun) return begun;
  if (auto synced = file_->sync(); !synced) return synced;
  return files_.sync_directory(directory_.path());
}

// Under mutex_.
Result<void> SessionJournal::begin_file() {
  const std::uint64_t number = next_number_;
  auto file = files_.open(directory_.file(name_of(number)), FileSystem::Open::create);
  if (!file) return std::unexpected(file.error());
  next_number_ += 1;
  if (auto written = (*file)->write(file_header(incarnation_), 0); !written) return written;
  if (present_.number != 0) full_.push_back(present_);
  present_ = {number, kFileHeaderBytes};
  file_ = std::move(*file);
  return {};
}

Result<void> SessionJournal::append(const SessionOpened& opened) {
  return append_bytes(encode(opened));
}

Result<void> SessionJournal::append(const SessionClosed& closed) {
  return append_bytes(encode(closed));
}

Result<void> SessionJournal::append_bytes(std::string_view record) {
  std::lock_guard lock(mutex_);
  if (!file_) {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_try_) return fail(Errc::unavailable, "the session journal cannot be written");
    next_try_ = now + kRetryAfter;
    if (auto begun = begin_file(); !begun) return begun;
  }
  if (auto written = file_->write(record, present_.bytes); !written) {
    file_.reset();  // what is behind a part of a record could not be read
    next_try_ = std::chrono::steady_clock::now() + kRetryAfter;
    return written;
  }
  present_.bytes += record.size();
  return {};
}

SessionJournal::Size SessionJournal::size() const {
  std::lock_guard lock(mutex_);
  Size size{present_.bytes, full_.size() + 1};
  for (const JournalFile& file : full_) size.bytes += file.bytes;
  return size;
}

Result<void> SessionJournal::compact(const IsLive& is_live) {
  std::vector<JournalFile> old;
  std::uint64_t number = 0;
  {
    std::lock_guard lock(mutex_);
    number = next_number_++;
    if (auto begun = begin_file(); !begun) return begun;
    old = full_;
  }
  const auto live = write_live(old, number, is_live);
  if (!live) return std::unexpected(live.error());
  {
    std::lock_guard lock(mutex_);
    full_.erase(full_.begin(), full_.begin() + static_cast<std::ptrdiff_t>(old.size()));
    full_.push_back(*live);
  }
  for (const JournalFile& file : old) {
    if (auto removed = files_.remove(directory_.file(name_of(file.number))); !removed) {
      return removed;  // harmless: its records are older than the copy
    }
  }
  return {};
}

Result<SessionJournal::JournalFile> SessionJournal::write_live(const std::vector<JournalFile>& old,
                                                               std::uint64_t number,
                                                               const IsLive& is_live) {
  const auto temporary = directory_.file(name_of(number) + ".new");
  auto file = files_.open(temporary, FileSystem::Open::create);
  if (!file) return std::unexpected(file.error());
  std::string pending = file_header(incarnation_);
  JournalFile out{number, 0};
  auto done = (*file)->truncate(0);
  const auto flush = [&] {
    if (done) done = (*file)->write(pending, out.bytes);
    out.bytes += pending.size();
    pending.clear();
  };
  const auto copy = [&](const SessionOpened& opened) {
    if (!is_live(opened)) return;
    pending += encode(opened);
    if (pending.size() >= kWindowBytes) flush();
  };
  for (const JournalFile& source : old) {
    if (!done) break;
    if (auto read_all = read(
            name_of(source.number), copy, [](const SessionClosed&) {}, false);
        !read_all) {
      done = read_all;
    }
  }
  flush();
  if (done) done = (*file)->sync();
  if (done) done = files_.rename(temporary, directory_.file(name_of(number)));
  if (done) done = files_.sync_directory(directory_.path());
  if (!done) return std::unexpected(done.error());
  return out;
}

}  // namespace mpr
