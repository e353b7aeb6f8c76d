/* The service that is measured with: writes when it was started, and by which process id, to standard output, which is a
 * pipe of the harness. Then it waits for ever; or ends at once, built with -DCRASH. It has no C library where the machine
 * is known, so that what is measured is the supervisor and not the start of a program.
 */
#if defined(__x86_64__) || defined(__aarch64__)
typedef unsigned long u64;
typedef unsigned int u32;

static long call(long n, long a, long b, long c)
{
#if defined(__x86_64__)
	enum { WRITE = 1, PAUSE = 34, GETPID = 39, EXIT = 60, CLOCK_GETTIME = 228 };
	const long numbers[] = { WRITE, PAUSE, GETPID, EXIT, CLOCK_GETTIME };
	long r;
	__asm__ volatile("syscall" : "=a"(r) : "a"(numbers[n]), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return r;
#else
	/* there is no pause(2): ppoll(2) of nothing */
	enum { WRITE = 64, PPOLL = 73, GETPID = 172, EXIT = 93, CLOCK_GETTIME = 113 };
	const long numbers[] = { WRITE, PPOLL, GETPID, EXIT, CLOCK_GETTIME };
	register long x8 __asm__("x8") = numbers[n], x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = 0;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
#endif
}
enum { WRITE, PAUSE, GETPID, EXIT, CLOCK_GETTIME };
#define START void _start(void)
#else
#define _POSIX_C_SOURCE 200809L
#include <stdint.h>
#include <time.h>
#include <unistd.h>
typedef uint64_t u64;
typedef uint32_t u32;
enum { WRITE, PAUSE, GETPID, EXIT, CLOCK_GETTIME };

static long call(long n, long a, long b, long c)
{
	switch (n) {
	case WRITE:
		return write((int)a, (void *)b, (size_t)c);
	case PAUSE:
		return pause();
	case GETPID:
		return getpid();
	case CLOCK_GETTIME:
		return clock_gettime(CLOCK_MONOTONIC, (struct timespec *)b);
	}
	_exit(0);
}
#define START int main(void)
#endif

START
{
	/* CLOCK_MONOTONIC is 1 */
	struct { long seconds, nanoseconds; } now;
	call(CLOCK_GETTIME, 1, (long)&now, 0);
	struct { u64 at; u32 pid, zero; } record = {
		(u64)now.seconds * 1000000000 + (u64)now.nanoseconds, (u32)call(GETPID, 0, 0, 0), 0
	};
	call(WRITE, 1, (long)&record, sizeof record);
#ifndef CRASH
	for (;;)
		call(PAUSE, 0, 0, 0);
#endif
	call(EXIT, 0, 0, 0);
	for (;;)
		;
}
