#include "store/embedded/segment_log.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <random>

#include "base/log.hpp"
#include "store/embedded/record.hpp"

namespace mpr {

namespace {

std::string spare_name(std::uint64_t number) { return "spare-" + std::to_string(number) + ".seg"; }

std::optional<std::uint64_t> parse_spare_name(std::string_view name) {
  constexpr std::string_view kHead = "spare-";
  std::uint64_t number = 0;
  if (!name.starts_with(kHead)) return std::nullopt;
  const char* const end = name.data() + name.size();
  const auto [next, error] = std::from_chars(name.data() + kHead.size(), end, number);
  if (error != std::errc() || std::string_view(next, end) != ".seg") return std::nullopt;
  return number;
}

std::uint64_t random_salt() {
  std::random_device source;
  return (std::uint64_t{source()} << 32) | source();
}

}  // namespace

SegmentLog::SegmentLog(FileSystem& files, const DataDirectory& directory,
                       std::uint64_t segment_bytes, Metrics& metrics)
    : files_(files), directory_(directory), segment_bytes_(segment_bytes), metrics_(metrics) {}

SegmentLog::~SegmentLog() {
  if (!writable_ || room() < kEndMarkBytes) return;
  auto closed = head().file->write(closed_mark(head().seed), head().end);
  if (closed) closed = head().file->sync();
  if (!closed) {
    log::warn("the end of the log cannot be marked; the next start will search for it",
              {{"reason", closed.error().context}});
  }
}

void SegmentLog::adopt(std::vector<std::shared_ptr<Segment>> segments,
                       const std::vector<std::string>& spare_names, std::uint64_t next_sequence) {
  segments_.assign(segments.begin(), segments.end());
  next_sequence_ = next_sequence;
  for (const std::string& name : spare_names) {
    next_spare_ = std::max(next_spare_, parse_spare_name(name).value_or(0) + 1);
  }
  for (const std::string& name : spare_names) {
    if (const auto done = adopt_spare(name); !done) {
      log::warn("a spare segment cannot be used", {{"reason", done.error().context}});
    }
  }
  count_disk_bytes();
}

Result<void> SegmentLog::adopt_spare(const std::string& name) {
  if (spares_.size() >= kMostSpares) return files_.remove(directory_.file(name));
  auto file = files_.open(directory_.file(name), FileSystem::Open::existing);
  if (!file) return std::unexpected(file.error());
  const auto size = (*file)->size();
  if (!size) return std::unexpected(size.error());
  if (*size != segment_bytes_) {
    auto reserved = (*file)->truncate(0);  // what a larger one has too much goes back
    if (reserved) reserved = (*file)->reserve(segment_bytes_);
    if (!reserved) {
      if (auto removed = files_.remove(directory_.file(name)); !removed) return removed;
      return reserved;
    }
  }
  Spare spare{name, std::move(*file), segment_bytes_};
  if (!parse_spare_name(name)) {
    spare.name = spare_name(next_spare_++);
    const auto renamed = files_.rename(directory_.file(name), directory_.file(spare.name));
    if (!renamed) return renamed;
  }
  spares_.push_back(std::move(spare));
  return {};
}

Result<void> SegmentLog::start_segment(std::uint64_t next_position) {
  if (spares_.empty()) {
    if (auto created = create_spare(); !created) return created;
  }
  // From here on a file may say where the present segment ends, so that nothing may follow there.
  writable_ = false;
  SegmentHeader header;
  header.sequence = next_sequence_++;
  header.salt = random_salt();
  header.first_position = next_position;
  if (!segments_.empty()) {
    header.previous_sequence = segments_.back()->header.sequence;
    header.previous_end = segments_.back()->end;
  }
  Spare spare = std::move(spares_.front());
  spares_.pop_front();
  if (auto made = make_head(spare, header); !made) {
    // Another spare is tried next time.
    spares_.push_back(std::move(spare));
    return made;
  }
  auto segment = std::make_shared<Segment>(header, std::move(spare.file));
  segment->file_bytes = spare.bytes;
  segments_.push_back(std::move(segment));
  writable_ = true;
  count_disk_bytes();
  return {};
}

// The header is on disk before the file has a segment's name, and the name is on disk before the
// first record is written. Syncing the directory makes earlier removals of old segments last as
// well, before anything overwrites what they held.
Result<void> SegmentLog::make_head(Spare& spare, const SegmentHeader& header) {
  std::string bytes = encode_segment_header(header);
  bytes.append(kEndMarkBytes, '\0');
  if (auto written = spare.file->write(bytes, 0); !written) return written;
  if (auto synced = spare.file->sync(); !synced) return synced;
  const std::string name = segment_name(header.sequence);
  const auto renamed = files_.rename(directory_.file(spare.name), directory_.file(name));
  if (!renamed) return renamed;
  auto synced = files_.sync_directory(directory_.path());
  if (!synced) {
    const auto undone = files_.rename(directory_.file(name), directory_.file(spare.name));
    if (!undone) spare.name = name;
  }
  return synced;
}

std::uint64_t SegmentLog::room() const {
  return writable_ ? segment_bytes_ - segments_.back()->end : 0;
}

Result<void> SegmentLog::append(std::string& group) {
  Segment& segment = head();
  const std::size_t size = group.size();
  const std::uint64_t left = segment_bytes_ - segment.end - size;
  group.append(static_cast<std::size_t>(std::min<std::uint64_t>(kEndMarkBytes, left)), '\0');
  auto done = segment.file->write(group, segment.end);
  if (done) done = segment.file->sync();
  if (!done) {
    // What was written of the group must not be found at the next start; the header of the next
    // segment says so, and if there is no next one, the missing bytes do.
    writable_ = false;
    cut_head();
    return done;
  }
  segment.end += size;
  return {};
}

void SegmentLog::cut_head() {
  Segment& segment = head();
  auto cut = segment.file->truncate(segment.end);
  if (cut) cut = segment.file->sync();
  if (cut) {
    segment.file_bytes = segment.end;
  } else {
    log::warn("the unused end of a segment cannot be cut off", {{"reason", cut.error().context}});
  }
  count_disk_bytes();
}

std::uint64_t SegmentLog::used_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& segment : segments_) bytes += segment->end;
  return bytes;
}

Result<void> SegmentLog::drop_oldest() {
  const std::shared_ptr<Segment> segment = segments_.front();
  const auto path = directory_.file(segment->name);
  // Nobody can find the segment any more, so that its readers only become fewer: two references are
  // this function's and the chain's.
  const bool unread = segment.use_count() == 2;
  std::atomic_thread_fence(std::memory_order_acquire);
  if (unread && spares_.size() < kMostSpares && segment->file_bytes == segment_bytes_) {
    const std::string name = spare_name(next_spare_++);
    if (auto renamed = files_.rename(path, directory_.file(name)); !renamed) return renamed;
    // The segment itself stays as it is: its last readers' view of it was never written to.
    spares_.push_back({name, segment->file, segment->file_bytes});
  } else if (auto removed = files_.remove(path); !removed) {
    return removed;
  }
  segments_.pop_front();
  count_disk_bytes();
  return {};
}

Result<void> SegmentLog::set_aside_oldest() {
  const std::shared_ptr<Segment>& segment = segments_.front();
  const auto renamed =
      files_.rename(directory_.file(segment->name), directory_.file("damaged-" + segment->name));
  if (!renamed) return renamed;
  set_aside_.push_back(segment);
  segments_.pop_front();
  count_disk_bytes();
  return {};
}

Result<void> SegmentLog::create_spare() {
  const std::string name = spare_name(next_spare_);
  auto file = files_.open(directory_.file(name), FileSystem::Open::create);
  if (!file) return std::unexpected(file.error());
  next_spare_ += 1;
  if (auto reserved = (*file)->reserve(segment_bytes_); !reserved) {
    if (const auto removed = files_.remove(directory_.file(name)); !removed) {
      log::warn("a spare segment cannot be removed", {{"reason", removed.error().context}});
    }
    return reserved;
  }
  spares_.push_back({name, std::move(*file), segment_bytes_});
  return {};
}

Result<void> SegmentLog::keep_reserve() {
  while (!has_reserve()) {
    if (auto created = create_spare(); !created) return created;
  }
  count_disk_bytes();
  return {};
}

void SegmentLog::count_disk_bytes() {
  std::uint64_t bytes = 0;
  for (const auto& segment : segments_) bytes += segment->file_bytes;
  for (const auto& spare : spares_) bytes += spare.bytes;
  metrics_.store_disk_bytes.add(static_cast<std::int64_t>(bytes - counted_disk_bytes_));
  counted_disk_bytes_ = bytes;
}

}  // namespace mpr
