// SPDX-License-Identifier: MIT
// Article 2: a thread serves events until it gets SIGKILL.
//
//	echo 1 > /proc/myevent      posts event 1
//	echo 4 5 > /proc/myevent    posts 4, and then 5
//	echo w > /proc/myevent      a stray wake-up
//
// wait=2 (UMH_WAIT_PROC): waits until the helper has ended.
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sysctl.h>
#include <linux/uaccess.h>
#include <linux/umh.h>
#include <linux/version.h>
#include <linux/wait.h>

// The article's 0 meant UMH_WAIT_EXEC in 2.6.
static int wait_for = UMH_WAIT_EXEC;
module_param_named(wait, wait_for, int, 0);

static DECLARE_WAIT_QUEUE_HEAD(myevent_waitqueue);
static DEFINE_RWLOCK(myevent_lock);
static unsigned int myevent_id;	// 0 means: no event

static char myevent_handler[256];
static struct ctl_table kern_table[] = {
	{
		.procname = "myevent_handler",
		.data = &myevent_handler,
		.maxlen = 256,
		.mode = 0644,
		.proc_handler = &proc_dostring,
	},
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
	{ }	// marks the end of the table
#endif
};

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
	value = call_usermodehelper(argv[0], argv, envp,
				    wait_for);
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
		schedule();
		if (signal_pending(current))	// also on rmmod
			break;
		read_lock(&myevent_lock);
		event_id = myevent_id;
		read_unlock(&myevent_lock);
		pr_info("mykthread: awake, event %u\n",
			event_id);
		if (event_id)
			run_umode_handler(event_id);
	}
	set_current_state(TASK_RUNNING);
	remove_wait_queue(&myevent_waitqueue, &wait);
	pr_info("mykthread: out, kthread_should_stop %d\n",
		kthread_should_stop());
	// kthread_stop() may be given a living thread only.
	while (!kthread_should_stop()) {
		flush_signals(current);
		schedule_timeout_interruptible(HZ);
	}
	return 0;
}

static void post(unsigned int id)
{
	write_lock(&myevent_lock);
	myevent_id = id;
	write_unlock(&myevent_lock);
	pr_info("posted %u\n", id);
	wake_up_interruptible(&myevent_waitqueue);
}

static ssize_t myevent_write(struct file *file,
			     const char __user *from, size_t n,
			     loff_t *offset)
{
	char buf[16] = "", *rest = buf, *word;
	unsigned int id;

	if (n >= sizeof(buf))
		return -EINVAL;
	if (copy_from_user(buf, from, n))
		return -EFAULT;
	while ((word = strsep(&rest, " \n"))) {
		if (*word == 'w') {
			pr_info("stray wake-up\n");
			wake_up_interruptible(
				&myevent_waitqueue);
		} else if (kstrtouint(word, 0, &id) == 0) {
			post(id);
		}
	}
	return n;
}

static const struct proc_ops myevent_ops = {
	.proc_write = myevent_write,
	.proc_lseek = noop_llseek,
};
static struct ctl_table_header *header;
static struct task_struct *thread;

static int __init mykthread_init(void)
{
	int err = -ENOMEM;

	header = register_sysctl("kernel", kern_table);
	if (!header)
		return err;
	if (!proc_create("myevent", 0200, NULL, &myevent_ops))
		goto no_file;
	thread = kthread_run(mykthread, NULL, "mykthread");
	err = PTR_ERR_OR_ZERO(thread);
	if (!err)
		return 0;
	remove_proc_entry("myevent", NULL);
no_file:
	unregister_sysctl_table(header);
	return err;
}

static void __exit mykthread_exit(void)
{
	remove_proc_entry("myevent", NULL);
	kthread_stop(thread);
	unregister_sysctl_table(header);
}

module_init(mykthread_init);
module_exit(mykthread_exit);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("Article 2: kernel thread loop");
