// SPDX-License-Identifier: MIT
// Article 1: a monitor posts an event, a thread runs a helper.
//
// post_first=1: the monitor runs before the thread. The thread
// then sleeps for ever, although its event is there.
// test_first=1: the thread tests before it sleeps.
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/umh.h>
#include <linux/wait.h>

static bool post_first;
module_param(post_first, bool, 0);
static bool test_first;
module_param(test_first, bool, 0);

extern char myevent_handler[];	// from myevent_handler.ko

static DECLARE_WAIT_QUEUE_HEAD(myevent_waitqueue);
static rwlock_t myevent_lock;
static unsigned int myevent_id;	// 0 means: no event

static void run_umode_handler(unsigned int event_id)
{
	char *argv[2] = { myevent_handler, NULL };
	char *envp[4] = {
		"HOME=/", "PATH=/sbin:/usr/sbin:/bin:/usr/bin",
	};
	char *buffer;
	int value;

	pr_info("run_umode_handler is starting...\n");
	buffer = kmalloc(32, GFP_KERNEL);
	if (!buffer)
		return;
	sprintf(buffer, "TROUBLED_DS=%d", event_id);
	envp[2] = buffer;
	pr_info("argv[0] is %s\n", argv[0]);
	// The article's 0 meant UMH_WAIT_EXEC in 2.6.
	value = call_usermodehelper(argv[0], argv, envp,
				    UMH_WAIT_EXEC);
	if (value)
		pr_info("call_usermodehelper: %d\n", value);
	kfree(buffer);
}

static int mykthread(void *unused)
{
	unsigned int event_id = 0;
	DECLARE_WAITQUEUE(wait, current);

	allow_signal(SIGKILL);
	add_wait_queue(&myevent_waitqueue, &wait);
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		// The article does not test before it sleeps.
		if (!test_first || !READ_ONCE(myevent_id))
			schedule();
		if (signal_pending(current))	// also on rmmod
			break;
		read_lock(&myevent_lock);
		if (myevent_id) {
			event_id = myevent_id;
			read_unlock(&myevent_lock);
			// The helper's start sleeps too.
			__set_current_state(TASK_RUNNING);
			run_umode_handler(event_id);
			break;
		}
		read_unlock(&myevent_lock);
	}
	pr_info("josephthread out\n");
	set_current_state(TASK_RUNNING);
	remove_wait_queue(&myevent_waitqueue, &wait);
	// kthread_stop() may be given a living thread only.
	while (!kthread_should_stop())
		schedule_timeout_interruptible(HZ);
	return 0;
}

static DECLARE_COMPLETION(monitor_out);

static int monitor(void *unused)
{
	allow_signal(SIGKILL);
	write_lock(&myevent_lock);
	myevent_id = 9527;
	write_unlock(&myevent_lock);
	wake_up_interruptible(&myevent_waitqueue);
	pr_info("monitor out\n");
	// After complete() alone, rmmod could free this code.
	kthread_complete_and_exit(&monitor_out, 0);
}

static void create_monitor(void)
{
	pr_info("create monitor <---------<\n");
	if (IS_ERR(kthread_run(monitor, NULL, "josephmonitor")))
		complete(&monitor_out);	// no monitor will
}

static struct task_struct *thread;

static int __init hello_init(void)
{
	rwlock_init(&myevent_lock);
	pr_info("Hello, I am a test module\n");
	if (post_first) {
		create_monitor();
		wait_for_completion(&monitor_out);
	}
	pr_info("create mythread <---------<\n");
	thread = kthread_run(mykthread, NULL, "josephthread");
	if (IS_ERR(thread))
		return PTR_ERR(thread);
	if (!post_first)
		create_monitor();
	return 0;
}

static void __exit hello_exit(void)
{
	if (!post_first)
		wait_for_completion(&monitor_out);
	kthread_stop(thread);
	pr_info("bye, my dear! cruel world\n");
}

module_init(hello_init);
module_exit(hello_exit);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("Article 1: monitor and helper");
