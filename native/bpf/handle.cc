#include "bpf/handle.h"

#include <bpf/bpf.h>
#include <errno.h>

namespace margay {

SysError PinAt(int fd, const std::string& path) {
  if (bpf_obj_pin(fd, path.c_str()) == 0) return {};
  return SysError{errno, "bpf(BPF_OBJ_PIN)"};
}

UniqueFd OpenPinnedAt(const std::string& path, const char* kind, SysError* error) {
  UniqueFd fd(bpf_obj_get(path.c_str()));
  if (!fd) {
    *error = SysError{errno, "bpf(BPF_OBJ_GET)"};
    return fd;
  }
  // The kernel answers info requests by the file's own kind: as another it would be misread.
  char target[64] = {};
  const std::string self = "/proc/self/fd/" + std::to_string(fd.get());
  if (readlink(self.c_str(), target, sizeof target - 1) < 0) {
    *error = SysError{errno, "readlink(/proc/self/fd)"};
  } else if (std::string(target) != std::string("anon_inode:") + kind) {
    *error = SysError{EINVAL, "bpf(BPF_OBJ_GET)",
                      path + " is a " + target + ", wanted " + kind};
  }
  return fd;
}

}  // namespace margay
