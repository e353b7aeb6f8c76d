/* floor PROGRAM N: the least that a supervisor must do. Starts PROGRAM N times, and again whenever one of them ends.
 * SIGUSR1 starts one more. SIGTERM ends all of them, and then the floor. It keeps no files, tells nobody anything, clears
 * nothing away, and would lose a signal that came while it starts something: the harness waits until it has come to rest.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 100000 };
extern char **environ;
static char *program[2];
static pid_t children[MOST];
static volatile sig_atomic_t count, ending;

static void start(int place)
{
	pid_t pid = vfork();
	if (pid == 0) {
		execve(program[0], program, environ);
		_exit(127);
	}
	children[place] = pid;
}

static void more(int signal)
{
	(void)signal;
	if (count < MOST)
		start(count++);
}

static void end(int signal)
{
	(void)signal;
	ending = 1;
	for (int i = 0; i < count; i++)
		kill(children[i], SIGTERM);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	struct sigaction action = { .sa_handler = more, .sa_flags = SA_RESTART };
	sigaction(SIGUSR1, &action, 0);
	action.sa_handler = end;
	sigaction(SIGTERM, &action, 0);
	program[0] = argv[1];
	int n = atoi(argv[2]);
	while (count < n && count < MOST) {
		start(count);
		count++;
	}
	for (;;) {
		pid_t pid = waitpid(-1, 0, 0);
		if (pid < 0)
			return 0;
		if (ending)
			continue;
		for (int i = 0; i < count; i++)
			if (children[i] == pid) {
				start(i);
				break;
			}
	}
}
