/* scratch.h: an input as a file, for what is opened by its path. */
#ifndef FUZZ_SCRATCH_H
#define FUZZ_SCRATCH_H

#include "must.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct scratch {
    int fd;
    char path[64];
} scratch;

static inline scratch scratch_open(const void *data, size_t size) {
    scratch s = {memfd_create("input", MFD_CLOEXEC), ""};
    if (s.fd < 0 || write(s.fd, data, size) != (ssize_t)size) abort();
    snprintf(s.path, sizeof s.path, "/proc/self/fd/%d", s.fd);
    return s;
}

static inline void scratch_close(scratch *s) { close(s->fd); }

#endif
