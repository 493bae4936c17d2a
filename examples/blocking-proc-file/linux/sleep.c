// SPDX-License-Identifier: MIT
/*
 * /proc/sleep: one process at a time has it open. The others
 * sleep in open, and a close wakes them.
 */
#include <linux/atomic.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#define MESSAGE_LENGTH 80

static char Message[MESSAGE_LENGTH];
static atomic_t Already_Open = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(WaitQ);

/* say prints a line about the process that calls. */
static void say(const char *text)
{
	pr_info("a3: %s (%d) %s\n",
		current->comm, current->pid, text);
}

static ssize_t module_output(struct file *file,
			     char __user *buf,
			     size_t len, loff_t *offset)
{
	char text[MESSAGE_LENGTH + 30];
	int n = snprintf(text, sizeof(text), "Last input:%s\n",
			 Message);

	return simple_read_from_buffer(buf, len, offset,
				       text, n);
}

static ssize_t module_input(struct file *file,
			    const char __user *buf,
			    size_t length, loff_t *offset)
{
	size_t n = min_t(size_t, length, MESSAGE_LENGTH - 1);

	if (copy_from_user(Message, buf, n))
		return -EFAULT;
	Message[n] = '\0';
	return n;
}

/* take tests and sets in one step, so only one opener wins. */
static bool take(void)
{
	return atomic_cmpxchg(&Already_Open, 0, 1) == 0;
}

/* wait_for_file returns 0 when the caller has the file. */
static int wait_for_file(void)
{
	do {
		say("waits");
		/* it queues, then tests, then sleeps */
		if (wait_event_interruptible(WaitQ,
				!atomic_read(&Already_Open))) {
			say("is interrupted");
			return -EINTR;
		}
		say("is woken");
	} while (!take());
	say("gets it");
	return 0;
}

static int module_open(struct inode *inode, struct file *file)
{
	int err;

	if (!try_module_get(THIS_MODULE))
		return -ENODEV;
	if (take())
		return 0;
	err = -EAGAIN;
	if (!(file->f_flags & O_NONBLOCK))
		err = wait_for_file();
	if (err) /* no close will give it back */
		module_put(THIS_MODULE);
	return err;
}

static int module_close(struct inode *inode, struct file *file)
{
	atomic_set(&Already_Open, 0);
	say("closes, wake_up");
	wake_up(&WaitQ); /* all of them: none is exclusive */
	module_put(THIS_MODULE);
	return 0;
}

static const struct proc_ops File_Ops_4_Our_Proc_File = {
	.proc_read = module_output,
	.proc_write = module_input,
	.proc_open = module_open,
	.proc_release = module_close,
	.proc_lseek = noop_llseek,
};

static int __init sleep_init(void)
{
	if (!proc_create("sleep", 0644, NULL,
			 &File_Ops_4_Our_Proc_File))
		return -ENOMEM;
	return 0;
}

/*
 * No call of the file is in this code when the module goes:
 * remove_proc_entry waits until all of them have returned.
 */
static void __exit sleep_exit(void)
{
	remove_proc_entry("sleep", NULL);
}

module_init(sleep_init);
module_exit(sleep_exit);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("a file for one process at a time");
