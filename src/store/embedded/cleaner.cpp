#include "store/embedded/cleaner.hpp"

#include "base/log.hpp"

namespace mpr {

namespace {

// A log up to this many segments is left alone.
constexpr std::uint64_t kFewSegments = 4;

}  // namespace

bool Cleaner::due() const {
  const SegmentLog& log = store_.log;
  if (log.segments() < 2) return false;
  if (scan_) return true;
  const std::uint64_t live =
      store_.index.live_bytes() + store_.remembered.size() * 2 * kRememberedIdBytes;
  const std::uint64_t segment = store_.options.segment_bytes;
  if (!log.has_reserve()) return log.used_bytes() > live + 2 * segment;
  return log.segments() > kFewSegments && log.segments() * segment > 2 * live + 2 * segment;
}

Result<void> Cleaner::stage(CommitGroup& group, std::uint64_t bytes) {
  needs_room_ = false;
  Segment& oldest = store_.log.oldest();
  if (!scan_) {
    finished_ = oldest.live_bytes == 0 && store_.remembered.size() == 0;
    if (!finished_) oldest.file->read_ahead();
    scan_.emplace(*oldest.file, oldest.seed, kSegmentHeaderBytes, oldest.end);
  }
  slice_began_ = scan_->offset();
  while (!finished_ && !needs_room_ && scan_->offset() < slice_began_ + bytes) {
    const auto more = copy_next(group);
    if (!more) {
      scan_.reset();
      return std::unexpected(more.error());
    }
    finished_ = !*more;
  }
  return {};
}

// False at the end of the segment.
Result<bool> Cleaner::copy_next(CommitGroup& group) {
  const auto step = scan_->next();
  if (!step) return std::unexpected(step.error());
  if (step->found == SegmentScan::Found::record) {
    if (!copy_record(group, *step)) {
      scan_->rewind(step->offset);
      needs_room_ = true;
    }
    return true;
  }
  if (scan_->offset() >= scan_->limit()) return false;
  return scan_->skip_to_next_record();
}

// False: there is no room for it.
bool Cleaner::copy_record(CommitGroup& group, const SegmentScan::Step& step) {
  return step.header.type == RecordType::add ? copy_add(group, step) : copy_remembered(group, step);
}

bool Cleaner::copy_add(CommitGroup& group, const SegmentScan::Step& step) {
  const auto add = decode_add(step.record);
  if (!add) return true;
  const Hash128 queue_key = QueueIndex::queue_key(hash_, add->tenant, add->connection);
  IndexEntry* const entry =
      store_.index.find(queue_key, QueueIndex::key_in(hash_, queue_key, add->id));
  const bool here = entry && entry->segment == &store_.log.oldest() &&
                    entry->offset == step.offset && !entry->staged_for_removal;
  if (!here) return true;
  if (!group.fits(step.record.size())) return false;
  copies_.push_back({entry, group.put_copy(step.record)});
  return true;
}

bool Cleaner::copy_remembered(CommitGroup& group, const SegmentScan::Step& step) {
  std::vector<RememberedId> still_known;
  const std::uint64_t sequence = store_.log.oldest().header.sequence;
  const auto consider = [&](const Hash128& key, std::uint64_t position) {
    const auto* known = store_.remembered.find_in(key, position, sequence, group.now());
    if (known) still_known.push_back(*known);
  };
  if (const auto removed = decode_remove(step.record)) {
    for (const Removal& r : removed->removals) {
      if (r.caller_id) consider(r.caller_id->key, r.position);
    }
  } else if (const auto ids = decode_remembered(step.record)) {
    for (const RememberedId& id : *ids) consider(id.key, id.position);
  }
  if (still_known.empty()) return true;
  if (!group.fits(kRecordOverheadBytes + still_known.size() * kRememberedIdBytes)) return false;
  group.put_remembered(still_known);
  for (const RememberedId& id : still_known) remembered_.push_back(id.key);
  return true;
}

Result<void> Cleaner::apply(CommitGroup& group) {
  for (const Copy& copy : copies_) {
    store_.index.move(*copy.entry, group.segment(), copy.offset);
    metrics_.store_relocated_bytes.add(copy.entry->length);
  }
  for (const Hash128& key : remembered_) {
    store_.remembered.move(key, group.segment().header.sequence);
  }
  copies_.clear();
  remembered_.clear();
  if (!scan_ || !finished_) return {};
  return finish();
}

Result<void> Cleaner::finish() {
  Segment& oldest = store_.log.oldest();
  if (oldest.live_bytes == 0) {
    if (auto dropped = store_.log.drop_oldest(); !dropped) return dropped;
  } else {
    log::error("messages in a damaged log segment cannot be read any more; the file is kept",
               {{"segment", oldest.name},
                {"lost_bytes", oldest.live_bytes},
                {"kept_as", "damaged-" + oldest.name}});
    if (auto aside = store_.log.set_aside_oldest(); !aside) return aside;
  }
  scan_.reset();
  finished_ = false;
  return {};
}

void Cleaner::undo() {
  copies_.clear();
  remembered_.clear();
  if (!scan_) return;
  scan_->rewind(slice_began_);
  finished_ = false;
}

}  // namespace mpr
