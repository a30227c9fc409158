/* Stands between a program and the system, and makes one call fail: loaded with LD_PRELOAD.
 *
 * LARDER_SHIM_UNDER  only files whose path begins so; those of the index are left alone, it has tests of its own
 * LARDER_SHIM_CALL   write, fsync, syncfs, rename, open or read
 * LARDER_SHIM_AT     the first call that fails, counted from 1
 * LARDER_SHIM_TIMES  so many calls fail from there on
 * LARDER_SHIM_ERROR  EIO, ENOSPC, or SHORT: half of the bytes are taken, which is no error
 * LARDER_SHIM_LOG    a line is written here for each call that was made to fail; without one, nothing was tested
 *
 * A sync that fails also empties the file: that is what such an error may mean, and a program that goes on as if
 * nothing had happened has lost it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long calls;

static const char *setting(const char *name) {
    const char *value = getenv(name);
    return value ? value : "";
}

static int is_under(const char *path) {
    const char *under = setting("LARDER_SHIM_UNDER");
    return *under && strncmp(path, under, strlen(under)) == 0 && !strstr(path, "/index");
}

/* The path of an open file, or of a name below an open folder. */
static int find_path(int folder, const char *name, char *path) {
    char link[64];
    if (name && name[0] == '/') {
        snprintf(path, PATH_MAX, "%s", name);
        return 1;
    }
    if (folder == AT_FDCWD)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t len = syscall(SYS_readlinkat, AT_FDCWD, link, path, (size_t)PATH_MAX - 1);
    if (len <= 0)
        return 0;
    path[len] = 0;
    if (name)
        snprintf(path + len, PATH_MAX - len, "/%s", name);
    return 1;
}

/* Whether this call fails now; says so in the log. */
static int fires(const char *call, const char *path) {
    if (strcmp(call, setting("LARDER_SHIM_CALL")) != 0 || !is_under(path))
        return 0;
    long number = atomic_fetch_add(&calls, 1) + 1, at = atol(setting("LARDER_SHIM_AT"));
    if (number < at || number >= at + atol(setting("LARDER_SHIM_TIMES")))
        return 0;
    char line[PATH_MAX + 64];
    int len = snprintf(line, sizeof line, "%s %ld %s\n", call, number, path);
    int log = syscall(SYS_openat, AT_FDCWD, setting("LARDER_SHIM_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log >= 0) {
        syscall(SYS_write, log, line, (size_t)len);
        syscall(SYS_close, log);
    }
    errno = strcmp(setting("LARDER_SHIM_ERROR"), "ENOSPC") == 0 ? ENOSPC : EIO;
    return 1;
}

static int fires_on(const char *call, int file) {
    char path[PATH_MAX];
    return *setting("LARDER_SHIM_CALL") && find_path(file, NULL, path) && fires(call, path);
}

static int fires_at(const char *call, int folder, const char *name) {
    char path[PATH_MAX];
    return *setting("LARDER_SHIM_CALL") && find_path(folder, name, path) && fires(call, path);
}

static int is_short(void) { return strcmp(setting("LARDER_SHIM_ERROR"), "SHORT") == 0; }

ssize_t write(int file, const void *bytes, size_t len) {
    if (fires_on("write", file)) {
        if (!is_short())
            return -1;
        len = len / 2 + 1;
    }
    return syscall(SYS_write, file, bytes, len);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    if (fires_on("write", file) && !is_short())
        return -1;
    return syscall(SYS_writev, file, parts, count);
}

ssize_t pread64(int file, void *bytes, size_t len, off64_t at) {
    if (fires_on("read", file)) {
        if (!is_short())
            return -1;
        len = len / 2 + 1;
    }
    return syscall(SYS_pread64, file, bytes, len, at);
}

ssize_t pread(int file, void *bytes, size_t len, off_t at) { return pread64(file, bytes, len, at); }

static int failed_sync(int file) {
    struct stat found;
    int why = errno;
    if (syscall(SYS_fstat, file, &found) == 0 && S_ISREG(found.st_mode))
        syscall(SYS_ftruncate, file, 0L);
    errno = why;
    return -1;
}

int fsync(int file) { return fires_on("fsync", file) ? failed_sync(file) : (int)syscall(SYS_fsync, file); }

int fdatasync(int file) { return fires_on("fsync", file) ? failed_sync(file) : (int)syscall(SYS_fdatasync, file); }

int syncfs(int folder) { return fires_on("syncfs", folder) ? -1 : (int)syscall(SYS_syncfs, folder); }

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    if (fires_at("rename", to_folder, to))
        return -1;
    return syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
}

int openat64(int folder, const char *name, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    if (fires_at("open", folder, name))
        return -1;
    return syscall(SYS_openat, folder, name, flags, mode);
}

int openat(int folder, const char *name, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return openat64(folder, name, flags, mode);
}
