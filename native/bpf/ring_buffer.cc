#include "bpf/ring_buffer.h"

#include <errno.h>

#include "bpf/map.h"
#include "core/args.h"

namespace margay {
namespace {

/** Between two looks at the rest of the event loop. */
constexpr unsigned kRecordsPerTurn = 1024;

}  // namespace

void RingBuffer::Export(Napi::Env env, Napi::Object exports) {
  exports.Set("RingBuffer", DefineClass(env, "RingBuffer",
                                        {InstanceMethod("close", &RingBuffer::Close)}));
}

RingBuffer::RingBuffer(const Napi::CallbackInfo& info) : Napi::ObjectWrap<RingBuffer>(info) {
  Napi::Env env = info.Env();
  BpfMap* map = BpfMap::From(env, info[0], "map");
  if (map == nullptr) return;
  auto on_record = ToFunction(env, info[1], "onRecord");
  if (!on_record) return;
  map_ = map->OpenFd(env);
  if (map_ == nullptr) return;
  LibbpfLog log;
  ring_.reset(ring_buffer__new(map_->get(), OnSample, this, nullptr));
  if (ring_ == nullptr) {
    const int err = errno;
    Throw(env, {err, "ring_buffer__new", log.Take()});
    return;
  }
  on_record_ = Napi::Persistent(*on_record);
  context_ = std::make_unique<Napi::AsyncContext>(env, "margay.RingBuffer");
  const int failed =
      poll_.Start(env, ring_buffer__epoll_fd(ring_.get()), [this] { OnReadable(); });
  if (failed != 0) {
    Throw(env, {failed, "uv_poll_start"});
    return;
  }
  closed_ = false;
  Ref();  // while open, the event loop holds it
}

RingBuffer::~RingBuffer() { poll_.Stop(); }

int RingBuffer::OnSample(void* context, void* data, size_t size) {
  auto* self = static_cast<RingBuffer*>(context);
  Napi::Env env = self->Env();
  Napi::HandleScope scope(env);
  CallFromLoop(env, *self->context_, self->on_record_.Value(), {FromBytes(env, data, size)});
  // A negative answer ends consume() after this record; what is left makes the descriptor ready.
  return self->closed_ || ++self->records_this_turn_ >= kRecordsPerTurn ? -ECANCELED : 0;
}

void RingBuffer::OnReadable() {
  Napi::HandleScope scope(Env());
  [[maybe_unused]] const Napi::Object keep_alive = Value();
  records_this_turn_ = 0;
  consuming_ = true;
  ring_buffer__consume(ring_.get());
  consuming_ = false;
  if (closed_) CloseNow();
}

void RingBuffer::Close(const Napi::CallbackInfo&) {
  if (closed_) return;
  closed_ = true;
  poll_.Stop();
  Unref();
  if (!consuming_) CloseNow();
}

void RingBuffer::CloseNow() {
  ring_.reset();
  map_ = nullptr;
  on_record_.Reset();
}

}  // namespace margay
