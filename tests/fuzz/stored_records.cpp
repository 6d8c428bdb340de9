// Arbitrary bytes as a log: the decoders and the recovery of a segment must take anything. The
// first byte chooses: with bit 0 every record that looks like one gets the right checksum first, so
// that the fuzzer reaches what is behind it; with bit 1 the bytes are an older segment of known
// length.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/log.hpp"
#include "store/embedded/recovery.hpp"
#include "store/embedded/segment_scan.hpp"
#include "tests/support/simulated_disk.hpp"

namespace {

using namespace mpr;

constexpr TimePoint kNow{std::chrono::milliseconds(1'750'000'000'000)};

SegmentHeader header_of(std::uint64_t sequence) {
  SegmentHeader header;
  header.sequence = sequence;
  header.salt = 0x5a17 + sequence;
  header.first_position = 1;
  return header;
}

// Gives whatever decodes as a header a checksum that fits.
void reseal(std::string& bytes, std::uint32_t seed) {
  for (std::size_t at = kSegmentHeaderBytes; at + kRecordHeaderBytes <= bytes.size();) {
    const auto header = decode_header(std::string_view(bytes).substr(at), at);
    if (!header || header->length > bytes.size() - at) {
      at += kRecordAlignment;
      continue;
    }
    seal(bytes, at, header->group, seed);
    at += header->length;
  }
}

void require(bool condition) {
  if (!condition) std::abort();
}

void put(FileSystem& files, const DataDirectory& directory, const SegmentHeader& header,
         const std::string& bytes) {
  auto file = files.open(directory.file(segment_name(header.sequence)), FileSystem::Open::create);
  require(file && (*file)->write(bytes, 0));
}

StoreTotals recover(FileSystem& files, const DataDirectory& directory) {
  QueueIndex index;
  const auto log = recover_log(files, directory, kNow, kNow - std::chrono::minutes(10), index);
  require(log.has_value());
  std::uint64_t live = 0;
  for (const auto& segment : log->segments) {
    require(segment->end >= kSegmentHeaderBytes);
    live += segment->live_bytes;
  }
  require(live == index.live_bytes());
  require(index.totals().messages == 0 || log->next_position > 1);
  return index.totals();
}

void decode_all(std::string_view bytes) {
  decode_header(bytes, 64);
  decode_add(bytes);
  decode_remove(bytes);
  decode_remembered(bytes);
  decode_segment_header(bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  log::set_sink([](std::string_view) {});
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const bool with_checksums = data[0] & 1;
  const bool as_older_segment = data[0] & 2;
  decode_all(input);

  test::SimulatedDisk disk(1);
  const auto directory = DataDirectory::open(disk, "/fuzz");
  require(directory.has_value());
  const SegmentHeader header = header_of(1);
  std::string bytes = encode_segment_header(header) + std::string(input);
  if (with_checksums) reseal(bytes, checksum_seed(header));
  put(disk, **directory, header, bytes);
  if (as_older_segment) {
    SegmentHeader newer = header_of(2);
    newer.previous_sequence = 1;
    newer.previous_end = bytes.size() / kRecordAlignment * kRecordAlignment;
    put(disk, **directory, newer, encode_segment_header(newer));
  }
  const StoreTotals first = recover(disk, **directory);
  const StoreTotals second = recover(disk, **directory);
  require(first.messages == second.messages && first.bytes == second.bytes);
  return 0;
}
