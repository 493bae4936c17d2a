// SPDX-License-Identifier: MIT
// Makes /proc/sys/kernel/myevent_handler, which test.ko reads.
#include <linux/module.h>
#include <linux/sysctl.h>
#include <linux/version.h>

extern char myevent_handler[];

char myevent_handler[256];
EXPORT_SYMBOL(myevent_handler);

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
static struct ctl_table_header *header;

static int __init handler_init(void)
{
	header = register_sysctl("kernel", kern_table);
	return header ? 0 : -ENOMEM;
}

static void __exit handler_exit(void)
{
	unregister_sysctl_table(header);
}

module_init(handler_init);
module_exit(handler_exit);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("The sysctl entry of article 1");
