/* A clock that somebody else moves, for the release programs as they are: preloaded, it stands between them and the C
 * library's clocks and waits. All clocks of all programs that map the same file show the real time and what the file adds.
 * A wait for a moment ends once the moved clock says so; the kernel knows nothing of that clock, so it waits a slice at a
 * time.
 *
 * LARDER_CLOCK        a file of 8 bytes: the nanoseconds that the clock is ahead. Whoever writes it moves the time
 * LARDER_CLOCK_WALL   if set, only the time of day is ahead: the time since the start of the machine cannot be before it
 * LARDER_CLOCK_LIFE   a file of 24 bytes, all zero at the start of the program: how many of its threads wait, how often a
 *                     wait has ended because its time had come, and how often any wait has begun or ended. Whoever reads it
 *                     knows when the program has done what the new time asked for
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000LL
/* Longest that a waiting thread takes to see that the clock was moved. */
#define SLICE_NS 1000000LL

struct life {
    _Atomic int64_t waiting;
    _Atomic uint64_t timed_out;
    _Atomic uint64_t waits;
};

static int64_t still;
static int is_wall_alone;
static _Atomic int64_t *ahead_ns = (_Atomic int64_t *)&still;
static struct life alone;
static struct life *life = &alone;
static long (*next_syscall)(long, ...);

static void *mapped(const char *variable, size_t len, void *otherwise) {
    const char *path = getenv(variable);
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *at = file >= 0 ? mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) : MAP_FAILED;
    if (file >= 0)
        close(file);
    return at == MAP_FAILED ? otherwise : at;
}

__attribute__((constructor)) static void begin(void) {
    next_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    ahead_ns = mapped("LARDER_CLOCK", sizeof *ahead_ns, &still);
    is_wall_alone = getenv("LARDER_CLOCK_WALL") != NULL;
    life = mapped("LARDER_CLOCK_LIFE", sizeof *life, &alone);
}

static int64_t real_ns(clockid_t clock) {
    struct timespec now;
    static int (*next)(clockid_t, struct timespec *);
    if (!next)
        next = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    next(clock, &now);
    return now.tv_sec * SECOND_NS + now.tv_nsec;
}

/* The time of a processor or a thread is nobody's to move. */
static int is_moved(clockid_t clock) {
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
        return 1;
    return !is_wall_alone && (clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_RAW ||
                              clock == CLOCK_MONOTONIC_COARSE || clock == CLOCK_BOOTTIME);
}

static int64_t moved_ns(clockid_t clock) {
    return real_ns(clock) + (is_moved(clock) ? atomic_load(ahead_ns) : 0);
}


static struct timespec span(int64_t ns) {
    return (struct timespec){.tv_sec = ns / SECOND_NS, .tv_nsec = ns % SECOND_NS};
}

static int64_t ns_of(const struct timespec *time) { return time->tv_sec * SECOND_NS + time->tv_nsec; }

int clock_gettime(clockid_t clock, struct timespec *now) {
    *now = span(moved_ns(clock));
    return 0;
}

int gettimeofday(struct timeval *now, void *zone) {
    (void)zone;
    int64_t us = moved_ns(CLOCK_REALTIME) / 1000;
    *now = (struct timeval){.tv_sec = us / 1000000, .tv_usec = us % 1000000};
    return 0;
}

time_t time(time_t *now) {
    time_t seconds = moved_ns(CLOCK_REALTIME) / SECOND_NS;
    if (now)
        *now = seconds;
    return seconds;
}

static void wait_begins(void) {
    atomic_fetch_add(&life->waits, 1);
    atomic_fetch_add(&life->waiting, 1);
}

static void wait_ends(int in_time) {
    atomic_fetch_sub(&life->waiting, 1);
    atomic_fetch_add(&life->waits, 1);
    if (!in_time)
        atomic_fetch_add(&life->timed_out, 1);
}

/* The next slice of a wait; zero or less when its moment has come. */
static int64_t slice_of(int64_t until_ns, clockid_t clock) {
    int64_t left = until_ns - moved_ns(clock);
    return left < SLICE_NS ? left : SLICE_NS;
}

int epoll_wait(int poll, struct epoll_event *events, int most, int timeout_ms) {
    static int (*next)(int, struct epoll_event *, int, int);
    if (!next)
        next = (int (*)(int, struct epoll_event *, int, int))dlsym(RTLD_NEXT, "epoll_wait");
    if (timeout_ms == 0)
        return next(poll, events, most, 0);
    int64_t until = moved_ns(CLOCK_MONOTONIC) + timeout_ms * 1000000LL;
    int found;
    wait_begins();
    do
        found = next(poll, events, most, timeout_ms < 0 ? -1 : 1);
    while (found == 0 && slice_of(until, CLOCK_MONOTONIC) > 0);
    wait_ends(found != 0);
    return found;
}

static long futex_wait(long word, long how, long value, long time, long bits) {
    int is_span = (how & FUTEX_CMD_MASK) == FUTEX_WAIT;
    clockid_t clock = how & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    long slicing = FUTEX_WAIT_BITSET | (how & FUTEX_PRIVATE_FLAG);
    int64_t until = time ? ns_of((struct timespec *)time) + (is_span ? moved_ns(CLOCK_MONOTONIC) : 0) : 0;
    long found;
    if (is_span)
        bits = FUTEX_BITSET_MATCH_ANY;
    wait_begins();
    for (;;) {
        int64_t slice = time ? slice_of(until, clock) : 0;
        if (time && slice <= 0) {
            errno = ETIMEDOUT;
            found = -1;
            break;
        }
        struct timespec end = span(real_ns(CLOCK_MONOTONIC) + slice);
        found = next_syscall(SYS_futex, word, slicing, value, time ? (long)&end : 0, 0, bits);
        if (!time || found == 0 || errno != ETIMEDOUT)
            break;
    }
    int why = errno;
    wait_ends(found == 0 || why != ETIMEDOUT);
    errno = why;
    return found;
}

long syscall(long number, ...) {
    long words[6];
    va_list rest;
    va_start(rest, number);
    for (int at = 0; at < 6; at++)
        words[at] = va_arg(rest, long);
    va_end(rest);
    if (!next_syscall)
        begin();
    long wanted = words[1] & FUTEX_CMD_MASK;
    if (number == SYS_futex && (wanted == FUTEX_WAIT || wanted == FUTEX_WAIT_BITSET))
        return futex_wait(words[0], words[1], words[2], words[3], words[5]);
    return next_syscall(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}

static int sleep_until(int64_t until_ns, clockid_t clock) {
    static int (*next)(const struct timespec *, struct timespec *);
    if (!next)
        next = (int (*)(const struct timespec *, struct timespec *))dlsym(RTLD_NEXT, "nanosleep");
    wait_begins();
    for (int64_t slice; (slice = slice_of(until_ns, clock)) > 0;) {
        struct timespec part = span(slice);
        next(&part, NULL);
    }
    wait_ends(0);
    return 0;
}

int nanosleep(const struct timespec *time, struct timespec *left) {
    (void)left;
    return sleep_until(moved_ns(CLOCK_MONOTONIC) + ns_of(time), CLOCK_MONOTONIC);
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *left) {
    (void)left;
    int64_t from = flags & TIMER_ABSTIME ? 0 : moved_ns(clock);
    return sleep_until(from + ns_of(time), clock);
}
