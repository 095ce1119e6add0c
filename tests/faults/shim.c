/* Loaded before the C library: counts what a process does to files below a folder, and lets the
   k-th such thing go wrong. Armed from Python through ctypes. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { OFF, COUNT_WRITES, COUNT_READS, KILL, TEAR, FAIL_WRITE, FAIL_READ, FULL, FAIL_FSYNC };
enum { READING, WRITING, FLUSHING };

static int mode = OFF, armed_at = 0, done = 0;
static char root[4096];
static char ours[65536];

void faults_arm(int new_mode, int at, const char *folder) {
    strncpy(root, folder, sizeof root - 1);
    mode = new_mode;
    armed_at = at;
    done = 0;
}

int faults_count(void) { return done; }

static int below(const char *path) {
    return mode != OFF && path && strncmp(path, root, strlen(root)) == 0;
}

static int known(int fd) { return mode != OFF && fd >= 0 && fd < (int)sizeof ours && ours[fd]; }

/* 0, or -1 with errno set where this operation is to fail; *torn where it is to be torn. */
static int befalls(int kind, int *torn) {
    int counts_reads = mode == COUNT_READS || mode == FAIL_READ;
    if (counts_reads != (kind == READING)) return 0;
    if (mode == FAIL_FSYNC && kind != FLUSHING) return 0;
    int now = ++done;
    if (mode == FULL ? now < armed_at : now != armed_at) return 0;
    switch (mode) {
    case KILL: raise(SIGKILL); break;
    case TEAR: if (torn) *torn = 1; else raise(SIGKILL); break;
    case FULL: errno = ENOSPC; return -1;
    case FAIL_WRITE: case FAIL_READ: case FAIL_FSYNC: errno = EIO; return -1;
    }
    return 0;
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static int noted(int fd, int is_ours) {
    if (fd >= 0 && fd < (int)sizeof ours) ours[fd] = (char)is_ours;
    return fd;
}

static int kind_of(int flags) { return (flags & O_ACCMODE) == O_RDONLY ? READING : WRITING; }

#define OPENS(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); \
        va_list rest; va_start(rest, flags); \
        mode_t rights = va_arg(rest, mode_t); va_end(rest); \
        int is_ours = below(path); \
        if (is_ours && befalls(kind_of(flags), NULL)) return -1; \
        return noted(real(path, flags, rights), is_ours); \
    }
OPENS(open)
OPENS(open64)

#define OPENS_AT(name) \
    int name(int at, const char *path, int flags, ...) { \
        REAL(name); \
        va_list rest; va_start(rest, flags); \
        mode_t rights = va_arg(rest, mode_t); va_end(rest); \
        int is_ours = below(path); \
        if (is_ours && befalls(kind_of(flags), NULL)) return -1; \
        return noted(real(at, path, flags, rights), is_ours); \
    }
OPENS_AT(openat)
OPENS_AT(openat64)

ssize_t write(int fd, const void *content, size_t size) {
    REAL(write);
    int torn = 0;
    if (known(fd) && befalls(WRITING, &torn)) return -1;
    if (torn) { real(fd, content, size / 2); raise(SIGKILL); }
    return real(fd, content, size);
}

#define WRITES_AT(name, offset_type) \
    ssize_t name(int fd, const void *content, size_t size, offset_type at) { \
        REAL(name); \
        int torn = 0; \
        if (known(fd) && befalls(WRITING, &torn)) return -1; \
        if (torn) { real(fd, content, size / 2, at); raise(SIGKILL); } \
        return real(fd, content, size, at); \
    }
WRITES_AT(pwrite, off_t)
WRITES_AT(pwrite64, off64_t)

ssize_t read(int fd, void *content, size_t size) {
    REAL(read);
    if (known(fd) && befalls(READING, NULL)) return -1;
    return real(fd, content, size);
}

#define READS_AT(name, offset_type) \
    ssize_t name(int fd, void *content, size_t size, offset_type at) { \
        REAL(name); \
        if (known(fd) && befalls(READING, NULL)) return -1; \
        return real(fd, content, size, at); \
    }
READS_AT(pread, off_t)
READS_AT(pread64, off64_t)

int fsync(int fd) {
    REAL(fsync);
    if (known(fd) && befalls(FLUSHING, NULL)) return -1;
    return real(fd);
}

int rename(const char *from, const char *to) {
    REAL(rename);
    if (below(to) && befalls(WRITING, NULL)) return -1;
    return real(from, to);
}

int mkdir(const char *path, mode_t rights) {
    REAL(mkdir);
    if (below(path) && befalls(WRITING, NULL)) return -1;
    return real(path, rights);
}

#define CUTS(name, offset_type) \
    int name(int fd, offset_type size) { \
        REAL(name); \
        if (known(fd) && befalls(WRITING, NULL)) return -1; \
        return real(fd, size); \
    }
CUTS(ftruncate, off_t)
CUTS(ftruncate64, off64_t)
