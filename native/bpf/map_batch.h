#pragma once

#include <cstdint>
#include <vector>

#include "bpf/map.h"
#include "core/promise_worker.h"

namespace margay {

/** One batched operation and its packed entries, for a pool thread. */
struct MapBatch {
  SharedFd fd;
  MapShape shape;
  std::vector<uint8_t> keys;
  std::vector<uint8_t> values;
  /** Entries given; for reading, entries per system call. */
  uint32_t count = 0;
  /** Entries done. */
  uint32_t done = 0;
};

/** Writes all entries; one by one where the map type knows no batches. */
SysError UpdateMapBatch(MapBatch& batch);
/** Deletes all keys. Keys that are absent do not count and do not stop it. */
SysError DeleteMapBatch(MapBatch& batch);
/**
 * Reads every entry. With writers at work, an entry that stays throughout is read once; where the
 * map type knows no batches, deletions during the walk may make it miss or repeat others.
 */
SysError ReadWholeMap(MapBatch& batch);

}  // namespace margay
