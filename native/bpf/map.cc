#include "bpf/map.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sys/mman.h>

#include "bpf/map_batch.h"

namespace margay {
namespace {

constexpr uint32_t kReadChunkDefault = 4096;

size_t RoundUp(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

bool IsPerCpu(uint32_t type) {
  return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
         type == BPF_MAP_TYPE_LRU_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

SysError ReadInfo(int fd, bpf_map_info* map_info) {
  __u32 size = sizeof *map_info;
  if (bpf_map_get_info_by_fd(fd, map_info, &size) == 0) return {};
  return SysError{errno, "bpf(BPF_OBJ_GET_INFO_BY_FD)"};
}

/** Keyless maps (queue, stack) take a null key. */
const void* KeyPointer(const ByteView& key) { return key.size == 0 ? nullptr : key.data; }

}  // namespace

void BpfMap::Export(Napi::Env env, Napi::Object exports) {
  Napi::Function made = DefineClass(env, kName,
                                    {
                                        StaticMethod("openPinned", &BpfMap::OpenPinned),
                                        InstanceAccessor("fd", &BpfMap::Fd, nullptr),
                                        InstanceMethod("info", &BpfMap::Info),
                                        InstanceMethod("pin", &BpfMap::Pin),
                                        InstanceMethod("mmap", &BpfMap::Mmap),
                                        InstanceMethod("lookup", &BpfMap::Lookup),
                                        InstanceMethod("update", &BpfMap::Update),
                                        InstanceMethod("delete", &BpfMap::Delete),
                                        InstanceMethod("nextKey", &BpfMap::NextKey),
                                        InstanceMethod("updateBatch", &BpfMap::UpdateBatch),
                                        InstanceMethod("deleteBatch", &BpfMap::DeleteBatch),
                                        InstanceMethod("readAll", &BpfMap::ReadAll),
                                        InstanceMethod("close", &BpfMap::Close),
                                    });
  AddonState::Of(env)->map_class = Napi::Persistent(made);
  exports.Set(kName, made);
}

SysError BpfMap::Adopted() {
  bpf_map_info map_info = {};
  if (SysError error = ReadInfo(fd_->get(), &map_info)) return error;
  shape_ = {map_info.type, map_info.key_size, map_info.value_size, map_info.max_entries,
            map_info.value_size};
  if (!IsPerCpu(shape_.type)) return {};
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) return SysError{-cpus, "libbpf_num_possible_cpus"};
  shape_.value_bytes = RoundUp(map_info.value_size, 8) * cpus;
  return {};
}

Napi::Value BpfMap::Info(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SharedFd fd = OpenFd(env);
  if (fd == nullptr) return env.Undefined();
  bpf_map_info map_info = {};
  if (SysError error = ReadInfo(fd->get(), &map_info)) return Throw(env, error), env.Undefined();
  Napi::Object result = Napi::Object::New(env);
  result.Set("name", Napi::String::New(env, map_info.name));
  result.Set("type", map_info.type);
  result.Set("id", map_info.id);
  result.Set("keySize", map_info.key_size);
  result.Set("valueSize", map_info.value_size);
  result.Set("maxEntries", map_info.max_entries);
  result.Set("flags", map_info.map_flags);
  return result;
}

Napi::Value BpfMap::Mmap(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SharedFd fd = OpenFd(env);
  if (fd == nullptr) return env.Undefined();
  const size_t size = RoundUp(shape_.value_size, 8) * shape_.max_entries;
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd->get(), 0);
  if (memory == MAP_FAILED) return Throw(env, {errno, "mmap"}), env.Undefined();
  // The mapping itself holds the kernel's map: it outlives this handle, as long as the buffer.
  return Napi::ArrayBuffer::New(env, memory, size,
                                [size](Napi::Env, void* gone) { munmap(gone, size); });
}

Napi::Value BpfMap::Lookup(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SharedFd fd = OpenFd(env);
  if (fd == nullptr) return env.Undefined();
  auto key = ToBytesOf(env, info[0], "key", shape_.key_size);
  if (!key) return env.Undefined();
  Napi::Uint8Array value = Napi::Uint8Array::New(env, shape_.value_bytes);
  if (bpf_map_lookup_elem(fd->get(), KeyPointer(*key), value.Data()) == 0) return value;
  const int err = errno;
  if (err != ENOENT) Throw(env, {err, "bpf(BPF_MAP_LOOKUP_ELEM)"});
  return env.Null();
}

void BpfMap::Update(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SharedFd fd = OpenFd(env);
  if (fd == nullptr) return;
  auto key = ToBytesOf(env, info[0], "key", shape_.key_size);
  if (!key) return;
  auto value = ToBytesOf(env, info[1], "value", shape_.value_bytes);
  if (!value) return;
  auto flags = ToU32Or(env, info[2], "flags", BPF_ANY);
  if (!flags) return;
  if (bpf_map_update_elem(fd->get(), KeyPointer(*key), value->data, *flags) == 0) return;
  Throw(env, {errno, "bpf(BPF_MAP_UPDATE_ELEM)"});
}

Napi::Value BpfMap::Delete(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SharedFd fd = OpenFd(env);
  if (fd == nullptr) return env.Undefined();
  auto key = ToBytesOf(env, info[0], "key", shape_.key_size);
  if (!key) return env.Undefined();
  if (bpf_map_delete_elem(fd->get(), KeyPointer(*key)) == 0) return Napi::Boolean::New(env, true);
  const int err = errno;
  if (err != ENOENT) Throw(env, {err, "bpf(BPF_MAP_DELETE_ELEM)"});
  return Napi::Boolean::New(env, false);
}

Napi::Value BpfMap::NextKey(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SharedFd fd = OpenFd(env);
  if (fd == nullptr) return env.Undefined();
  const void* after = nullptr;
  if (!info[0].IsNull()) {
    auto key = ToBytesOf(env, info[0], "key", shape_.key_size);
    if (!key) return env.Undefined();
    after = key->data;
  }
  Napi::Uint8Array next = Napi::Uint8Array::New(env, shape_.key_size);
  if (bpf_map_get_next_key(fd->get(), after, next.Data()) == 0) return next;
  const int err = errno;
  if (err != ENOENT) Throw(env, {err, "bpf(BPF_MAP_GET_NEXT_KEY)"});
  return env.Null();
}

Napi::Value BpfMap::UpdateBatch(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SharedFd fd = OpenFd(env);
  if (fd == nullptr) return env.Undefined();
  auto count = ToU32(env, info[2], "count");
  if (!count) return env.Undefined();
  auto keys = ToBytesOf(env, info[0], "keys", size_t{*count} * shape_.key_size);
  if (!keys) return env.Undefined();
  auto values = ToBytesOf(env, info[1], "values", size_t{*count} * shape_.value_bytes);
  if (!values) return env.Undefined();
  return RunInPool(
      env, MapBatch{fd, shape_, keys->Copy(), values->Copy(), *count}, UpdateMapBatch,
      [](Napi::Env done, MapBatch& batch) { return Napi::Number::New(done, batch.done); });
}

Napi::Value BpfMap::DeleteBatch(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SharedFd fd = OpenFd(env);
  if (fd == nullptr) return env.Undefined();
  auto count = ToU32(env, info[1], "count");
  if (!count) return env.Undefined();
  auto keys = ToBytesOf(env, info[0], "keys", size_t{*count} * shape_.key_size);
  if (!keys) return env.Undefined();
  return RunInPool(
      env, MapBatch{fd, shape_, keys->Copy(), {}, *count}, DeleteMapBatch,
      [](Napi::Env done, MapBatch& batch) { return Napi::Number::New(done, batch.done); });
}

Napi::Value BpfMap::ReadAll(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SharedFd fd = OpenFd(env);
  if (fd == nullptr) return env.Undefined();
  auto chunk = ToU32Or(env, info[0], "chunk", kReadChunkDefault);
  if (!chunk) return env.Undefined();
  if (*chunk == 0) return ThrowType(env, "chunk must be at least 1"), env.Undefined();
  return RunInPool(env, MapBatch{fd, shape_, {}, {}, *chunk}, ReadWholeMap,
                   [](Napi::Env done, MapBatch& batch) -> Napi::Value {
                     Napi::Object result = Napi::Object::New(done);
                     result.Set("keys", AdoptBytes(done, std::move(batch.keys)));
                     result.Set("values", AdoptBytes(done, std::move(batch.values)));
                     result.Set("count", batch.done);
                     return result;
                   });
}

}  // namespace margay
