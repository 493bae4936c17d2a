// SPDX-License-Identifier: MIT
/*
 * Five threads that wake up once a second. Loading the module
 * returns when all are set up, unloading it when all are gone.
 */
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/semaphore.h>

#define NTHREADS 5

static bool allow;
module_param(allow, bool, 0);
MODULE_PARM_DESC(allow, "allow SIGTERM and send it: a storm");

typedef struct kthread_struct {
	struct task_struct *thread;
	struct semaphore startstop_sem;
	bool terminate;
} kthread_t;

static kthread_t example[NTHREADS];

/* start_kthread returns when the thread is set up. */
static int start_kthread(int (*func)(void *),
			 kthread_t *kthread)
{
	struct task_struct *thread;

	/*
	 * Locked, and never locked again: the thread releases it
	 * when it is set up, and once more when it ends.
	 */
	sema_init(&kthread->startstop_sem, 0);
	thread = kthread_create(func, kthread, "example thread");
	if (IS_ERR(thread))
		return PTR_ERR(thread);
	/* stop_kthread may come after the thread's end. */
	kthread->thread = get_task_struct(thread);
	wake_up_process(thread);
	down(&kthread->startstop_sem);
	return 0;
}

/* init_kthread is the first call of the thread. */
static void init_kthread(kthread_t *kthread)
{
	allow_signal(SIGKILL);
	if (allow)
		allow_signal(SIGTERM);
	kthread->terminate = false;
	up(&kthread->startstop_sem);
}

/* exit_kthread is the last call of the thread. */
static void exit_kthread(kthread_t *kthread)
{
	up(&kthread->startstop_sem);
}

/*
 * stop_kthread returns the result of the thread, which is gone.
 *
 * The down is not enough for that. After its last up the thread
 * has instructions of this module left to run, and rmmod could
 * free them. The article held the big kernel lock against this.
 * Today kthread_stop waits for the thread to leave the module.
 *
 * One caller stops a thread: there is one up for one down.
 */
static int stop_kthread(kthread_t *kthread)
{
	int result;

	if (kthread->thread == NULL) {
		pr_info("stop_kthread: killing non existing thread!\n");
		return 0;
	}
	WRITE_ONCE(kthread->terminate, true);
	send_sig(SIGKILL, kthread->thread, 1);
	down(&kthread->startstop_sem);
	result = kthread_stop(kthread->thread);
	put_task_struct(kthread->thread);
	kthread->thread = NULL;
	return result;
}

/* example_thread returns how often it woke up. */
static int example_thread(void *arg)
{
	kthread_t *kthread = arg;
	int n = 0;

	init_kthread(kthread);
	pr_info("hi, here is the kernel thread\n");
	for (;;) {
		schedule_timeout_interruptible(HZ);
		if (READ_ONCE(kthread->terminate))
			break;
		pr_info("example thread: thread woke up\n");
		if (++n == 20 && allow) {
			pr_info("20 times: storm\n");
			flush_signals(current);
		}
	}
	exit_kthread(kthread);
	return n;
}

static void stop_all(void)
{
	int i;

	for (i = 0; i < NTHREADS && example[i].thread; i++)
		pr_info("kthread_stop %d: %d\n", i,
			stop_kthread(&example[i]));
}

static int __init thread_init(void)
{
	int i, err;

	for (i = 0; i < NTHREADS; i++) {
		err = start_kthread(example_thread, &example[i]);
		if (err) {
			stop_all();
			return err;
		}
		pr_info("started %d\n", i);
	}
	if (allow)
		pr_info("send_sig: %d\n",
			send_sig(SIGTERM, example[0].thread, 1));
	return 0;
}

static void __exit thread_exit(void)
{
	stop_all();
	stop_kthread(&example[0]); /* one stop too many */
}

module_init(thread_init);
module_exit(thread_exit);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("threads with handshakes");
