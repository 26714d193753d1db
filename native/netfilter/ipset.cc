#include "netfilter/ipset.h"

#include <sys/socket.h>

#include <cstring>
#include <optional>
#include <utility>

#include "core/args.h"
#include "core/promise_worker.h"

namespace margay {
namespace {

/** Longest name of a set, without its NUL (IPSET_MAXNAMELEN). */
constexpr size_t kNameMax = 31;

std::optional<std::string> ToSetName(Napi::Env env, Napi::Value value) {
  auto name = ToText(env, value, "name");
  if (!name) return name;
  if (!name->empty() && name->size() <= kNameMax) return name;
  ThrowType(env, "name must have 1 to 31 bytes");
  return std::nullopt;
}

uint8_t AddressFamily(uint32_t family) {
  return family == 4 ? AF_INET : family == 6 ? AF_INET6 : AF_UNSPEC;
}

}  // namespace

void IpsetSocket::Export(Napi::Env env, Napi::Object exports) {
  exports.Set("IpsetSocket", DefineClass(env, "IpsetSocket",
                                         {
                                             InstanceMethod("create", &IpsetSocket::Create),
                                             InstanceMethod("destroy", &IpsetSocket::Destroy),
                                             InstanceMethod("swap", &IpsetSocket::Swap),
                                             InstanceMethod("add", &IpsetSocket::Add),
                                             InstanceMethod("remove", &IpsetSocket::Remove),
                                             InstanceMethod("headers", &IpsetSocket::Headers),
                                             InstanceMethod("members", &IpsetSocket::Members),
                                             InstanceMethod("close", &IpsetSocket::Close),
                                         }));
}

IpsetSocket::IpsetSocket(const Napi::CallbackInfo& info) : Napi::ObjectWrap<IpsetSocket>(info) {
  Napi::Env env = info.Env();
  std::string netns;
  if (!info[0].IsUndefined()) {
    auto path = ToText(env, info[0], "netns");
    if (!path) return;
    netns = *path;
  }
  auto client = std::make_shared<IpsetClient>();
  if (SysError error = client->Open(netns)) {
    Throw(env, error);
    return;
  }
  client_ = std::move(client);
}

std::shared_ptr<IpsetClient> IpsetSocket::Client(Napi::Env env) {
  if (!client_) ThrowCoded(env, "ERR_CLOSED", "IpsetSocket is closed");
  return client_;
}

Napi::Value IpsetSocket::Create(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto client = Client(env);
  if (!client) return env.Undefined();
  auto name = ToSetName(env, info[0]);
  if (!name) return env.Undefined();
  auto type = ToSetName(env, info[1]);
  if (!type) return env.Undefined();
  auto family = ToU32(env, info[2], "family");
  if (!family) return env.Undefined();
  auto max_elements = ToU32(env, info[3], "maxElements");
  if (!max_elements) return env.Undefined();
  IpsetClient::NewSet set{*name, *type, AddressFamily(*family), *max_elements};
  return RunInPool(env, std::make_pair(client, set),
                   [](auto& state) { return state.first->Create(state.second); });
}

Napi::Value IpsetSocket::Destroy(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto client = Client(env);
  if (!client) return env.Undefined();
  auto name = ToSetName(env, info[0]);
  if (!name) return env.Undefined();
  return RunInPool(env, std::make_pair(client, *name),
                   [](auto& state) { return state.first->Destroy(state.second); });
}

Napi::Value IpsetSocket::Swap(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto client = Client(env);
  if (!client) return env.Undefined();
  auto first = ToSetName(env, info[0]);
  if (!first) return env.Undefined();
  auto second = ToSetName(env, info[1]);
  if (!second) return env.Undefined();
  struct State {
    std::shared_ptr<IpsetClient> client;
    std::string first, second;
  };
  return RunInPool(env, State{client, *first, *second},
                   [](State& state) { return state.client->Swap(state.first, state.second); });
}

Napi::Value IpsetSocket::Add(const Napi::CallbackInfo& info) { return Change(info, true); }
Napi::Value IpsetSocket::Remove(const Napi::CallbackInfo& info) { return Change(info, false); }

Napi::Value IpsetSocket::Change(const Napi::CallbackInfo& info, bool add) {
  Napi::Env env = info.Env();
  auto client = Client(env);
  if (!client) return env.Undefined();
  auto name = ToSetName(env, info[0]);
  if (!name) return env.Undefined();
  auto packed = ToBytes(env, info[1], "members");
  if (!packed) return env.Undefined();
  if (packed->size % sizeof(IpsetMember) != 0) {
    return ThrowType(env, "members must be packed in 40 bytes each"), env.Undefined();
  }
  struct State {
    std::shared_ptr<IpsetClient> client;
    std::string name;
    bool add;
    std::vector<IpsetMember> members;
  };
  State state{client, *name, add, {}};
  state.members.resize(packed->size / sizeof(IpsetMember));
  if (packed->size > 0) memcpy(state.members.data(), packed->data, packed->size);
  return RunInPool(env, std::move(state), [](State& run) {
    return run.client->Change(run.name, run.add, run.members);
  });
}

Napi::Value IpsetSocket::Headers(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto client = Client(env);
  if (!client) return env.Undefined();
  struct State {
    std::shared_ptr<IpsetClient> client;
    std::vector<IpsetHeader> headers;
  };
  return RunInPool(
      env, State{client, {}}, [](State& run) { return run.client->Headers(&run.headers); },
      [](Napi::Env done_env, State& run) -> Napi::Value {
        Napi::Array result = Napi::Array::New(done_env, run.headers.size());
        for (size_t i = 0; i < run.headers.size(); ++i) {
          const IpsetHeader& header = run.headers[i];
          Napi::Object item = Napi::Object::New(done_env);
          item.Set("name", header.name);
          item.Set("type", header.type);
          item.Set("family", header.family == AF_INET ? 4 : header.family == AF_INET6 ? 6 : 0);
          result.Set(static_cast<uint32_t>(i), item);
        }
        return result;
      });
}

Napi::Value IpsetSocket::Members(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto client = Client(env);
  if (!client) return env.Undefined();
  auto name = ToSetName(env, info[0]);
  if (!name) return env.Undefined();
  struct State {
    std::shared_ptr<IpsetClient> client;
    std::string name;
    std::vector<IpsetMember> members;
  };
  return RunInPool(
      env, State{client, *name, {}},
      [](State& run) { return run.client->Members(run.name, &run.members); },
      [](Napi::Env done_env, State& run) -> Napi::Value {
        return FromBytes(done_env, run.members.data(), run.members.size() * sizeof(IpsetMember));
      });
}

void IpsetSocket::Close(const Napi::CallbackInfo&) { client_.reset(); }

}  // namespace margay
