#include "store/embedded/recovery.hpp"

#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <map>

#include "base/log.hpp"
#include "store/embedded/segment_scan.hpp"

namespace mpr {

namespace {

// Segment files by sequence, as long as nobody knows which of them are the log.
using Found = std::map<std::uint64_t, std::shared_ptr<Segment>>;

class Recovery {
 public:
  Recovery(FileSystem& files, const DataDirectory& directory, TimePoint now, TimePoint forgotten,
           QueueIndex& index)
      : files_(files), directory_(directory), now_(now), forgotten_(forgotten), index_(index) {}

  Result<RecoveredLog> run();

 private:
  // Bytes that are no record, between records or at the end.
  struct Hole {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
  };
  // A segment of the chain; the newest has no known end.
  struct Link {
    std::shared_ptr<Segment> segment;
    std::optional<std::uint64_t> known_end;
  };

  Result<void> find_files();
  Result<void> examine(const std::string& name, std::uint64_t sequence);
  std::vector<Link> chain();
  Result<void> read(const Link& link);
  Result<std::uint64_t> read_records(SegmentScan& scan, Segment& segment, std::vector<Hole>& holes);
  void report(const Link& link, const std::vector<Hole>& holes, std::uint64_t last_group) const;

  bool replay(Segment& segment, const SegmentScan::Step& step);
  bool replay_add(Segment& segment, const SegmentScan::Step& step);
  void replay_removal(const Removal& removal, TimePoint removed_at, std::uint64_t sequence);

  FileSystem& files_;
  const DataDirectory& directory_;
  const TimePoint now_;
  const TimePoint forgotten_;
  QueueIndex& index_;
  Found found_;
  RecoveredLog log_;
  boost::unordered_flat_map<std::uint64_t, IndexEntry*> by_position_;
};

Result<void> Recovery::find_files() {
  const auto names = files_.list(directory_.path());
  if (!names) return std::unexpected(names.error());
  for (const std::string& name : *names) {
    if (name.starts_with("spare-")) log_.spare_names.push_back(name);
    const auto sequence = parse_segment_name(name);
    if (!sequence) continue;
    log_.next_sequence = std::max(log_.next_sequence, *sequence + 1);
    if (auto examined = examine(name, *sequence); !examined) return examined;
  }
  return {};
}

Result<void> Recovery::examine(const std::string& name, std::uint64_t sequence) {
  auto file = files_.open(directory_.file(name), FileSystem::Open::existing);
  if (!file) return std::unexpected(file.error());
  const auto size = (*file)->size();
  if (!size) return std::unexpected(size.error());
  std::string bytes(kSegmentHeaderBytes, '\0');
  const auto got = (*file)->read(bytes, 0);
  if (!got) return std::unexpected(got.error());
  const auto header = decode_segment_header(std::string_view(bytes).substr(0, *got));
  if (header && header->sequence == sequence) {
    auto segment = std::make_shared<Segment>(*header, std::move(*file));
    segment->file_bytes = *size;
    found_.emplace(sequence, std::move(segment));
    return {};
  }
  log::error("the header of a log segment is damaged: its messages cannot be read and are lost",
             {{"segment", name}, {"bytes", *size}, {"kept_as", "damaged-" + name}});
  return files_.rename(directory_.file(name), directory_.file("damaged-" + name));
}

// From the newest segment back, each names the one before it. Files that nobody names are starts of
// segments that failed, and hold nothing that was answered.
std::vector<Recovery::Link> Recovery::chain() {
  std::vector<Link> links;
  std::optional<std::uint64_t> known_end;
  auto at = found_.empty() ? found_.end() : std::prev(found_.end());
  while (at != found_.end()) {
    const SegmentHeader& header = at->second->header;
    links.push_back({at->second, known_end});
    at = found_.erase(at);
    const auto older = found_.lower_bound(header.previous_sequence);
    if (older != found_.end() && older->first == header.previous_sequence) {
      known_end = header.previous_end;
      at = older;
    } else if (older != found_.begin() && header.previous_sequence != 0) {
      log::error("a log segment is missing: its messages are lost",
                 {{"segment", segment_name(header.previous_sequence)}});
      known_end.reset();
      at = std::prev(older);
    } else {
      break;  // the one before was dropped long ago
    }
  }
  std::reverse(links.begin(), links.end());
  return links;
}

Result<RecoveredLog> Recovery::run() {
  if (auto done = find_files(); !done) return std::unexpected(done.error());
  for (const Link& link : chain()) {
    Segment& segment = *link.segment;
    log_.next_position = std::max(log_.next_position, segment.header.first_position);
    if (auto done = read(link); !done) return std::unexpected(done.error());
    if (segment.end > kSegmentHeaderBytes) {
      log_.segments.push_back(link.segment);
    } else {
      log_.spare_names.push_back(segment.name);
    }
  }
  for (const auto& [sequence, segment] : found_) log_.spare_names.push_back(segment->name);
  std::sort(log_.remembered.begin(), log_.remembered.end(), [](const auto& a, const auto& b) {
    return std::pair(a.id.removed_at, a.id.position) < std::pair(b.id.removed_at, b.id.position);
  });
  return std::move(log_);
}

Result<void> Recovery::read(const Link& link) {
  Segment& segment = *link.segment;
  const std::uint64_t limit =
      std::min(link.known_end.value_or(segment.file_bytes), segment.file_bytes);
  segment.file->read_ahead();
  SegmentScan scan(*segment.file, segment.seed, kSegmentHeaderBytes, limit);
  std::vector<Hole> holes;
  const auto last_group = read_records(scan, segment, holes);
  if (!last_group) return std::unexpected(last_group.error());
  if (link.known_end && segment.end < *link.known_end) {
    if (holes.empty() || holes.back().begin != segment.end) {
      holes.push_back({segment.end, *link.known_end});
    }
    holes.back().end = *link.known_end;
    segment.end = *link.known_end;
  }
  log_.bytes_read += segment.end;
  report(link, holes, *last_group);
  return {};
}

// Yields where the last commit group that was found begins.
Result<std::uint64_t> Recovery::read_records(SegmentScan& scan, Segment& segment,
                                             std::vector<Hole>& holes) {
  std::uint64_t last_group = 0;
  while (true) {
    const auto step = scan.next();
    if (!step) return std::unexpected(step.error());
    if (step->found == SegmentScan::Found::record && replay(segment, *step)) {
      last_group = std::max<std::uint64_t>(last_group, step->header.group);
      segment.end = scan.offset();
      continue;
    }
    if (step->found == SegmentScan::Found::record) {  // a checksum that fits by chance
      holes.push_back({step->offset, scan.offset()});
      continue;
    }
    if (step->found == SegmentScan::Found::closed || scan.offset() >= scan.limit()) break;
    // Even behind a proper end something may follow, if the disk lost a page.
    const std::uint64_t begin = scan.offset();
    const auto damaged =
        step->found == SegmentScan::Found::damage ? scan.damaged_bytes() : Result<std::uint64_t>(0);
    if (!damaged) return std::unexpected(damaged.error());
    const auto more = scan.skip_to_next_record();
    if (!more) return std::unexpected(more.error());
    if (*more) {
      holes.push_back({begin, scan.offset()});
      continue;
    }
    if (*damaged > 0) holes.push_back({begin, begin + *damaged});
    break;
  }
  return last_group;
}

void Recovery::report(const Link& link, const std::vector<Hole>& holes,
                      std::uint64_t last_group) const {
  for (const Hole& hole : holes) {
    const bool at_end = hole.end >= link.segment->end;
    // A write is torn only within the group that was not yet answered, which is the last.
    const bool maybe_torn = last_group <= hole.begin && !(at_end && link.known_end);
    if (maybe_torn) {
      log::warn("dropped the end of the log: a write was cut short, or its bytes have changed",
                {{"segment", link.segment->name},
                 {"offset", hole.begin},
                 {"dropped_bytes", hole.end - hole.begin}});
    } else {
      log::error("a part of the log is damaged: messages or removals in it are lost",
                 {{"segment", link.segment->name},
                  {"offset", hole.begin},
                  {"lost_bytes", hole.end - hole.begin}});
    }
  }
}

bool Recovery::replay(Segment& segment, const SegmentScan::Step& step) {
  const std::uint64_t sequence = segment.header.sequence;
  switch (step.header.type) {
    case RecordType::add:
      return replay_add(segment, step);
    case RecordType::remove: {
      const auto record = decode_remove(step.record);
      if (!record) return false;
      for (const Removal& r : record->removals) replay_removal(r, record->removed_at, sequence);
      return true;
    }
    case RecordType::remembered: {
      const auto ids = decode_remembered(step.record);
      if (!ids) return false;
      for (const RememberedId& id : *ids) {
        if (id.removed_at > forgotten_) log_.remembered.push_back({id, sequence});
      }
      return true;
    }
  }
  return false;
}

bool Recovery::replay_add(Segment& segment, const SegmentScan::Step& step) {
  const auto add = decode_add(step.record);
  if (!add) return false;
  log_.next_position = std::max(log_.next_position, add->position + 1);
  if (add->expires_at && *add->expires_at <= now_) return true;
  const auto offset = static_cast<std::uint32_t>(step.offset);
  if (const auto known = by_position_.find(add->position); known != by_position_.end()) {
    index_.move(*known->second, segment, offset);  // a copy made by cleaning
    return true;
  }
  const KeyedHash& hash = directory_.hash();
  QueueIndex::NewEntry entry;
  entry.queue_key = QueueIndex::queue_key(hash, add->tenant, add->connection);
  entry.id_key = QueueIndex::key_in(hash, entry.queue_key, add->id);
  if (IndexEntry* const older = index_.find(entry.queue_key, entry.id_key)) {
    by_position_.erase(older->position);  // expired or removed, and the record of it is lost
    index_.erase(*older);
  }
  std::vector<Hash128> lanes;
  for (const std::string_view did : add->recipient_dids) {
    lanes.push_back(QueueIndex::key_in(hash, entry.queue_key, did));
  }
  entry.lane_keys = lanes;
  entry.position = add->position;
  entry.segment = &segment;
  entry.offset = offset;
  entry.length = step.header.length;
  entry.size = static_cast<std::uint32_t>(add->payload.size());
  entry.caller_chose_id = add->id_origin == IdOrigin::caller;
  entry.has_token = add->token.has_value();
  entry.received_at = add->received_at;
  entry.expires_at = add->expires_at;
  index_.insert(entry);
  by_position_.emplace(add->position, index_.find(entry.queue_key, entry.id_key));
  return true;
}

void Recovery::replay_removal(const Removal& removal, TimePoint removed_at,
                              std::uint64_t sequence) {
  if (removal.caller_id && removed_at > forgotten_) {
    const RememberedId id{removal.caller_id->key, removal.position, removal.caller_id->received_at,
                          removed_at};
    log_.remembered.push_back({id, sequence});
  }
  const auto known = by_position_.find(removal.position);
  if (known == by_position_.end()) return;
  index_.erase(*known->second);
  by_position_.erase(known);
}

}  // namespace

Result<RecoveredLog> recover_log(FileSystem& files, const DataDirectory& directory, TimePoint now,
                                 TimePoint forgotten, QueueIndex& index) {
  return Recovery(files, directory, now, forgotten, index).run();
}

}  // namespace mpr
