"""Commands about the register: the record of GDPR 30, and a file that says what the register is to hold."""
