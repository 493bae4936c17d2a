package usermodehelper

var CloseOnExecEach = closeOnExecEach
