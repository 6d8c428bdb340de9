// What ADR 0005 compares with: messages of 1.1 KB into RocksDB, every group of 256 synced, then
// taking ten and removing ten at the head of a long queue. Not part of the build:
//
//   apt-get install librocksdb-dev
//   clang++-19 -std=c++20 -O2 tests/engines/rocksdb_adds.cpp -lrocksdb -o /tmp/rocksdb_adds
//   /tmp/rocksdb_adds /path/on/the/disk/to/measure
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>

namespace {

using SteadyClock = std::chrono::steady_clock;

double seconds_since(SteadyClock::time_point began) {
  return std::chrono::duration<double>(SteadyClock::now() - began).count();
}

void require(const rocksdb::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::exit(1);
}

std::string key(int queue, int position) {
  char text[64];
  std::snprintf(text, sizeof text, "connection-%06d/%012d", queue, position);
  return text;
}

void measure_adds(rocksdb::DB& db, const rocksdb::WriteOptions& synced,
                  const std::string& payload) {
  constexpr int kGroups = 2000;
  constexpr int kPerGroup = 256;
  const auto began = SteadyClock::now();
  int position = 0;
  for (int g = 0; g < kGroups; ++g) {
    rocksdb::WriteBatch batch;
    for (int i = 0; i < kPerGroup; ++i) {
      ++position;
      require(batch.Put(key(position % 10'000, position), payload));
    }
    require(db.Write(synced, &batch));
  }
  std::printf("adds, 256 in a group: %.0f/s\n", kGroups * kPerGroup / seconds_since(began));
}

void measure_take_and_remove(rocksdb::DB& db, const rocksdb::WriteOptions& synced,
                             const std::string& payload, int depth) {
  const int queue = 999'999;
  for (int p = 0; p < depth + 2000;) {
    rocksdb::WriteBatch batch;
    for (int i = 0; i < 1000; ++i, ++p) require(batch.Put(key(queue, p), payload));
    require(db.Write(synced, &batch));
  }
  constexpr int kCycles = 200;
  const auto began = SteadyClock::now();
  for (int c = 0; c < kCycles; ++c) {
    const std::unique_ptr<rocksdb::Iterator> next(db.NewIterator(rocksdb::ReadOptions()));
    rocksdb::WriteBatch batch;
    next->Seek(key(queue, 0));
    for (int i = 0; i < 10 && next->Valid(); ++i, next->Next()) require(batch.Delete(next->key()));
    require(db.Write(synced, &batch));
  }
  std::printf("take 10 + remove 10 at depth %d: %.0f cycles/s\n", depth,
              kCycles / seconds_since(began));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 1;
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* opened = nullptr;
  require(rocksdb::DB::Open(options, argv[1], &opened));
  const std::unique_ptr<rocksdb::DB> db(opened);
  rocksdb::WriteOptions synced;
  synced.sync = true;
  std::string payload(1100, '\0');  // encrypted messages do not compress
  std::mt19937 dice(1);
  for (char& c : payload) c = static_cast<char>(dice());
  measure_adds(*db, synced, payload);
  measure_take_and_remove(*db, synced, payload, 100'000);
  return 0;
}
