#include "bpf/map_batch.h"

#include <bpf/bpf.h>
#include <errno.h>

#include <algorithm>

namespace margay {
namespace {

constexpr int kEnotsupp = 524;

/** How kernels say that a map type has no batched operations. */
bool IsUnsupported(int err) { return err == kEnotsupp || err == EOPNOTSUPP; }

SysError UpdateOneByOne(MapBatch& batch) {
  for (; batch.done < batch.count; ++batch.done) {
    const uint8_t* key = batch.keys.data() + size_t{batch.done} * batch.shape.key_size;
    const uint8_t* value = batch.values.data() + size_t{batch.done} * batch.shape.value_bytes;
    if (bpf_map_update_elem(batch.fd->get(), key, value, BPF_ANY) < 0) {
      return SysError{errno, "bpf(BPF_MAP_UPDATE_ELEM)"};
    }
  }
  return {};
}

SysError DeleteOneByOne(MapBatch& batch) {
  for (uint32_t i = 0; i < batch.count; ++i) {
    const uint8_t* key = batch.keys.data() + size_t{i} * batch.shape.key_size;
    if (bpf_map_delete_elem(batch.fd->get(), key) == 0) {
      ++batch.done;
    } else if (const int err = errno; err != ENOENT) {
      return SysError{err, "bpf(BPF_MAP_DELETE_ELEM)"};
    }
  }
  return {};
}

SysError ReadOneByOne(MapBatch& batch) {
  const MapShape& shape = batch.shape;
  std::vector<uint8_t> key(shape.key_size);
  std::vector<uint8_t> value(shape.value_bytes);
  const void* after = nullptr;
  while (batch.done < shape.max_entries) {
    if (bpf_map_get_next_key(batch.fd->get(), after, key.data()) < 0) {
      const int err = errno;
      return err == ENOENT ? SysError{} : SysError{err, "bpf(BPF_MAP_GET_NEXT_KEY)"};
    }
    after = key.data();
    if (bpf_map_lookup_elem(batch.fd->get(), key.data(), value.data()) < 0) {
      const int err = errno;
      if (err == ENOENT) continue;  // deleted since: the walk starts over by itself
      return SysError{err, "bpf(BPF_MAP_LOOKUP_ELEM)"};
    }
    batch.keys.insert(batch.keys.end(), key.begin(), key.end());
    batch.values.insert(batch.values.end(), value.begin(), value.end());
    ++batch.done;
  }
  return {};
}

/** Room for `entries` more behind what is done. */
void Grow(MapBatch& batch, size_t entries) {
  const size_t room = batch.done + entries;
  if (batch.keys.size() >= room * batch.shape.key_size) return;
  const size_t grown = std::max(room, size_t{batch.done} * 2);
  batch.keys.resize(grown * batch.shape.key_size);
  batch.values.resize(grown * batch.shape.value_bytes);
}

}  // namespace

SysError UpdateMapBatch(MapBatch& batch) {
  if (batch.count == 0) return {};
  __u32 count = batch.count;
  if (bpf_map_update_batch(batch.fd->get(), batch.keys.data(), batch.values.data(), &count,
                           nullptr) == 0) {
    batch.done = count;
    return {};
  }
  const int err = errno;
  if (IsUnsupported(err)) return UpdateOneByOne(batch);
  return SysError{err, "bpf(BPF_MAP_UPDATE_BATCH)"};
}

SysError DeleteMapBatch(MapBatch& batch) {
  for (uint32_t next = 0; next < batch.count;) {
    __u32 count = batch.count - next;
    const uint8_t* keys = batch.keys.data() + size_t{next} * batch.shape.key_size;
    if (bpf_map_delete_batch(batch.fd->get(), keys, &count, nullptr) == 0) {
      batch.done += count;
      return {};
    }
    const int err = errno;
    if (next == 0 && IsUnsupported(err)) return DeleteOneByOne(batch);
    if (err != ENOENT) return SysError{err, "bpf(BPF_MAP_DELETE_BATCH)"};
    batch.done += count;  // deleted before the absent key, which is skipped
    next += count + 1;
  }
  return {};
}

SysError ReadWholeMap(MapBatch& batch) {
  // The kernel's cursor: a bucket number, or a key where the type walks by keys.
  std::vector<uint8_t> cursor(std::max<size_t>(batch.shape.key_size, sizeof(uint32_t)));
  std::vector<uint8_t> next_cursor(cursor.size());
  uint32_t chunk = std::min(batch.count, std::max<uint32_t>(batch.shape.max_entries, 1));
  bool first = true;
  for (;;) {
    Grow(batch, chunk);
    __u32 count = chunk;
    const int result = bpf_map_lookup_batch(
        batch.fd->get(), first ? nullptr : cursor.data(), next_cursor.data(),
        batch.keys.data() + size_t{batch.done} * batch.shape.key_size,
        batch.values.data() + size_t{batch.done} * batch.shape.value_bytes, &count, nullptr);
    const int err = result < 0 ? errno : 0;
    if (first && IsUnsupported(err)) {
      batch.keys.clear();
      batch.values.clear();
      return ReadOneByOne(batch);
    }
    if (err == ENOSPC && count == 0 && chunk < UINT32_MAX / 2) {
      chunk *= 2;  // one hash bucket holds more than a chunk
      continue;
    }
    if (err != 0 && err != ENOENT) return SysError{err, "bpf(BPF_MAP_LOOKUP_BATCH)"};
    batch.done += count;
    if (err == ENOENT) break;
    cursor.swap(next_cursor);
    first = false;
  }
  batch.keys.resize(size_t{batch.done} * batch.shape.key_size);
  batch.values.resize(size_t{batch.done} * batch.shape.value_bytes);
  return {};
}

}  // namespace margay
