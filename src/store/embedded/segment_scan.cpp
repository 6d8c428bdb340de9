#include "store/embedded/segment_scan.hpp"

#include <algorithm>
#include <cstring>

namespace mpr {

namespace {

constexpr std::uint64_t kWindowBytes = 256 * 1024;

bool all_zero(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == '\0'; });
}

}  // namespace

SegmentScan::SegmentScan(const File& file, std::uint32_t seed, std::uint64_t from,
                         std::uint64_t limit)
    : file_(file), seed_(seed), limit_(limit), offset_(from) {}

// Bytes at `offset`, fewer than `size` only where the limit or the file ends.
Result<std::string_view> SegmentScan::view(std::uint64_t offset, std::uint64_t size) {
  if (offset >= limit_) return std::string_view();
  size = std::min(size, limit_ - offset);
  if (offset < window_at_ || offset + size > window_at_ + window_.size()) {
    window_.resize(
        static_cast<std::size_t>(std::min(std::max(size, kWindowBytes), limit_ - offset)));
    const auto got = file_.read(std::span(window_.data(), window_.size()), offset);
    if (!got) {
      window_.clear();
      return std::unexpected(got.error());
    }
    window_.resize(*got);
    window_at_ = offset;
  }
  const auto begin = static_cast<std::size_t>(offset - window_at_);
  return std::string_view(window_).substr(begin, static_cast<std::size_t>(size));
}

Result<SegmentScan::Step> SegmentScan::next() {
  Step step;
  step.offset = offset_;
  const auto mark = view(offset_, kEndMarkBytes);
  if (!mark) return std::unexpected(mark.error());
  if (all_zero(*mark)) return step;
  if (*mark == closed_mark(seed_)) {
    step.found = Found::closed;
    return step;
  }

  step.found = Found::damage;
  const auto head = view(offset_, kRecordHeaderBytes);
  if (!head) return std::unexpected(head.error());
  const auto header = decode_header(*head, offset_);
  if (!header || header->length > limit_ - offset_) return step;
  const auto record = view(offset_, header->length);
  if (!record) return std::unexpected(record.error());
  if (record->size() < header->length || !verify(*record, seed_)) return step;

  step.found = Found::record;
  step.header = *header;
  step.record = *record;
  offset_ += header->length;
  return step;
}

Result<bool> SegmentScan::valid_at(std::uint64_t offset, std::uint64_t& budget) {
  const auto head = view(offset, kRecordHeaderBytes);
  if (!head) return std::unexpected(head.error());
  const auto header = decode_header(*head, offset);
  if (!header || header->length > limit_ - offset) return false;
  budget -= std::min<std::uint64_t>(budget, header->length);
  const auto record = view(offset, header->length);
  if (!record) return std::unexpected(record.error());
  return record->size() == header->length && verify(*record, seed_);
}

Result<bool> SegmentScan::skip_to_next_record() {
  // Each byte may be checked a few times over; more is somebody's payload full of false headers.
  std::uint64_t budget = 8 * limit_;
  std::uint64_t at = offset_ + kRecordAlignment;
  for (; at + kRecordHeaderBytes <= limit_ && budget > 0; at += kRecordAlignment) {
    const auto mark = view(at, kEndMarkBytes);
    if (!mark) return std::unexpected(mark.error());
    if (mark->size() < kEndMarkBytes) break;
    std::uint64_t word;
    std::memcpy(&word, mark->data(), sizeof word);
    if (word == 0) continue;
    const auto valid = valid_at(at, budget);
    if (!valid) return std::unexpected(valid.error());
    if (!*valid) continue;
    offset_ = at;
    return true;
  }
  return false;
}

Result<std::uint64_t> SegmentScan::damaged_bytes() {
  const auto head = view(offset_, kRecordHeaderBytes);
  if (!head) return std::unexpected(head.error());
  const auto header = decode_header(*head, offset_);
  const std::uint64_t most = limit_ - offset_;
  if (header && header->length <= most) return header->length;
  std::uint64_t written = 0;
  for (std::uint64_t at = 0; at < most; at += kWindowBytes) {
    const auto part = view(offset_ + at, kWindowBytes);
    if (!part) return std::unexpected(part.error());
    const auto last = part->find_last_not_of('\0');
    if (last != std::string_view::npos) written = at + last + 1;
  }
  return written;
}

}  // namespace mpr
