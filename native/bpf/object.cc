#include "bpf/object.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include <algorithm>

#include "bpf/map.h"
#include "bpf/program.h"
#include "core/args.h"
#include "core/promise_worker.h"

namespace margay {
namespace {

/** Maps of global variables go by their section: '.rodata', and not by libbpf's 'object.rodata'. */
const char* NameOf(const bpf_map* map) {
  const char* name = bpf_map__name(map);
  const char* section = bpf_map__is_internal(map) ? strchr(name, '.') : nullptr;
  return section == nullptr ? name : section;
}

/** libbpf takes over the layout of the map it is given, which the programs would misread. */
SysError CheckSameLayout(const bpf_map* map, int fd, bool any_value_size) {
  bpf_map_info have = {};
  __u32 size = sizeof have;
  if (bpf_map_get_info_by_fd(fd, &have, &size) < 0) {
    return SysError{errno, "bpf(BPF_OBJ_GET_INFO_BY_FD)"};
  }
  if (have.type == bpf_map__type(map) && have.key_size == bpf_map__key_size(map) &&
      (any_value_size || have.value_size == bpf_map__value_size(map))) {
    return {};
  }
  return SysError{EINVAL, "bpf_map__reuse_fd",
                  std::string(NameOf(map)) + ": its type, key size or value size differ"};
}

}  // namespace

void BpfObject::Export(Napi::Env env, Napi::Object exports) {
  exports.Set("BpfObject",
              DefineClass(env, "BpfObject",
                          {
                              InstanceAccessor("mapNames", &BpfObject::MapNames, nullptr),
                              InstanceAccessor("programNames", &BpfObject::ProgramNames, nullptr),
                              InstanceMethod("setMaxEntries", &BpfObject::SetMaxEntries),
                              InstanceMethod("reuseMap", &BpfObject::ReuseMap),
                              InstanceMethod("setAutoload", &BpfObject::SetAutoload),
                              InstanceMethod("setGlobals", &BpfObject::SetGlobals),
                              InstanceMethod("load", &BpfObject::Load),
                              InstanceMethod("map", &BpfObject::Map),
                              InstanceMethod("program", &BpfObject::Program),
                              InstanceMethod("close", &BpfObject::Close),
                          }));
}

BpfObject::BpfObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<BpfObject>(info) {
  Napi::Env env = info.Env();
  auto elf = ToBytes(env, info[0], "elf");
  if (!elf) return;
  auto name = ToText(env, info[1], "name");
  if (!name) return;
  LibbpfLog log;
  LIBBPF_OPTS(bpf_object_open_opts, options);
  options.object_name = name->c_str();
  bpf_object* object = bpf_object__open_mem(elf->data, elf->size, &options);
  if (object == nullptr) {
    const int err = errno;
    Throw(env, {err, "bpf_object__open_mem", log.Take()});
    return;
  }
  loaded_ = std::make_shared<Loaded>();
  loaded_->object.reset(object);
}

bool BpfObject::CheckNotClosed(Napi::Env env) const {
  if (loaded_ == nullptr) ThrowCoded(env, "ERR_CLOSED", "BpfObject is closed");
  return loaded_ != nullptr;
}

bpf_object* BpfObject::In(Napi::Env env, Phase phase) const {
  if (!CheckNotClosed(env)) return nullptr;
  if (loaded_->phase == phase) return loaded_->object.get();
  ThrowCoded(env, "ERR_STATE",
             phase == Phase::kOpen ? "BpfObject is no longer open for changes: load() was called"
                                   : "BpfObject is not loaded");
  return nullptr;
}

bpf_map* BpfObject::FindMap(Napi::Env env, Phase phase, Napi::Value value) const {
  bpf_object* object = In(env, phase);
  if (object == nullptr) return nullptr;
  auto name = ToText(env, value, "map name");
  if (!name) return nullptr;
  for (const auto& [own, map] : reused_) {
    if (own == *name) return map;
  }
  bpf_map* map;
  bpf_object__for_each_map(map, object) {
    const bool is_reused = std::any_of(reused_.begin(), reused_.end(),
                                       [map](const auto& one) { return one.second == map; });
    if (!is_reused && *name == NameOf(map)) return map;
  }
  Throw(env, {ENOENT, "bpf_object__find_map_by_name", "no map " + *name});
  return nullptr;
}

bpf_program* BpfObject::FindProgram(Napi::Env env, Phase phase, Napi::Value value) const {
  bpf_object* object = In(env, phase);
  if (object == nullptr) return nullptr;
  auto name = ToText(env, value, "program name");
  if (!name) return nullptr;
  bpf_program* program = bpf_object__find_program_by_name(object, name->c_str());
  if (program == nullptr) {
    Throw(env, {ENOENT, "bpf_object__find_program_by_name", "no program " + *name});
  }
  return program;
}

Napi::Value BpfObject::MapNames(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!CheckNotClosed(env)) return env.Undefined();
  Napi::Array names = Napi::Array::New(env);
  bpf_map* map;
  bpf_object__for_each_map(map, loaded_->object.get()) names.Set(names.Length(), NameOf(map));
  return names;
}

Napi::Value BpfObject::ProgramNames(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!CheckNotClosed(env)) return env.Undefined();
  Napi::Array names = Napi::Array::New(env);
  bpf_program* program;
  bpf_object__for_each_program(program, loaded_->object.get()) {
    names.Set(names.Length(), bpf_program__name(program));
  }
  return names;
}

void BpfObject::SetMaxEntries(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  bpf_map* map = FindMap(env, Phase::kOpen, info[0]);
  if (map == nullptr) return;
  auto entries = ToU32(env, info[1], "maxEntries");
  if (!entries) return;
  const int result = bpf_map__set_max_entries(map, *entries);
  if (result < 0) Throw(env, {-result, "bpf_map__set_max_entries"});
}

void BpfObject::ReuseMap(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  bpf_map* map = FindMap(env, Phase::kOpen, info[0]);
  if (map == nullptr) return;
  BpfMap* given = BpfMap::From(env, info[1], "map");
  if (given == nullptr) return;
  SharedFd fd = given->OpenFd(env);
  if (fd == nullptr) return;
  const bool any_value_size = info[2].IsBoolean() && info[2].As<Napi::Boolean>().Value();
  if (SysError error = CheckSameLayout(map, fd->get(), any_value_size)) return Throw(env, error);
  std::string own = NameOf(map);
  const int result = bpf_map__reuse_fd(map, fd->get());
  if (result < 0) return Throw(env, {-result, "bpf_map__reuse_fd"});
  // libbpf renames it after the map that was given; to our callers it keeps its name.
  reused_.emplace_back(std::move(own), map);
}

void BpfObject::SetAutoload(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  bpf_program* program = FindProgram(env, Phase::kOpen, info[0]);
  if (program == nullptr) return;
  if (!info[1].IsBoolean()) return ThrowType(env, "autoload must be a boolean");
  const int result = bpf_program__set_autoload(program, info[1].As<Napi::Boolean>().Value());
  if (result < 0) Throw(env, {-result, "bpf_program__set_autoload"});
}

void BpfObject::SetGlobals(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  bpf_map* map = FindMap(env, Phase::kOpen, info[0]);
  if (map == nullptr) return;
  auto bytes = ToBytes(env, info[1], "bytes");
  if (!bytes) return;
  auto offset = ToU32Or(env, info[2], "offset", 0);
  if (!offset) return;
  size_t size = 0;
  auto* values = bpf_map__is_internal(map)
                     ? static_cast<uint8_t*>(bpf_map__initial_value(map, &size))
                     : nullptr;
  if (values == nullptr) return ThrowType(env, std::string(NameOf(map)) + " holds no globals");
  if (*offset > size || bytes->size > size - *offset) {
    return ThrowType(env, std::string(NameOf(map)) + " has " + std::to_string(size) + " bytes: " +
                              std::to_string(bytes->size) + " do not fit at offset " +
                              std::to_string(*offset));
  }
  memcpy(values + *offset, bytes->data, bytes->size);
}

Napi::Value BpfObject::Load(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (In(env, Phase::kOpen) == nullptr) return env.Undefined();
  loaded_->phase = Phase::kLoading;
  return RunInPool(env, loaded_, [](std::shared_ptr<Loaded>& loaded) {
    LibbpfLog log;
    const int result = bpf_object__load(loaded->object.get());
    loaded->phase = result < 0 ? Phase::kFailed : Phase::kLoaded;
    return result < 0 ? SysError{-result, "bpf_object__load", log.Take()} : SysError{};
  });
}

Napi::Value BpfObject::Map(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const bpf_map* map = FindMap(env, Phase::kLoaded, info[0]);
  if (map == nullptr) return env.Undefined();
  UniqueFd fd = UniqueFd::Duplicate(bpf_map__fd(map));
  if (!fd) return Throw(env, {errno, "fcntl(F_DUPFD_CLOEXEC)"}), env.Undefined();
  return BpfMap::Make(env, std::move(fd));
}

Napi::Value BpfObject::Program(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const bpf_program* program = FindProgram(env, Phase::kLoaded, info[0]);
  if (program == nullptr) return env.Undefined();
  const int loaded_fd = bpf_program__fd(program);
  if (loaded_fd < 0) return Throw(env, {-loaded_fd, "bpf_program__fd"}), env.Undefined();
  UniqueFd fd = UniqueFd::Duplicate(loaded_fd);
  if (!fd) return Throw(env, {errno, "fcntl(F_DUPFD_CLOEXEC)"}), env.Undefined();
  return BpfProgram::Make(env, std::move(fd));
}

void BpfObject::Close(const Napi::CallbackInfo&) { loaded_ = nullptr; }

}  // namespace margay
